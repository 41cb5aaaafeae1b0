import json
import os
import pickle

import pytest
import torch

from atomplete.checkpoint import load, read_tensors, save, write_tensors
from atomplete.descriptors import Descriptor, ThreeCenter, ThreeCenterSpec, build
from atomplete.errors import InputError
from atomplete.registry import Registered


class Other(Registered):
    pass


@pytest.fixture
def descriptor():
    made = build(ThreeCenterSpec(radial_components=2, components=(5, 3)))
    for buffer in made.buffers():
        buffer.copy_(torch.rand(buffer.shape, generator=torch.Generator().manual_seed(0)))
    return made


def test_a_loaded_module_has_the_same_bits(descriptor, tmp_path):
    save(tmp_path / "x.pt", descriptor)
    for base in (Registered, Descriptor, ThreeCenter):
        loaded = load(tmp_path / "x.pt", base)
        assert loaded.spec == descriptor.spec
        for key, value in descriptor.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value), key


def test_a_file_says_what_it_is(descriptor, tmp_path):
    save(tmp_path / "x.pt", descriptor)
    content = read_tensors(tmp_path / "x.pt")
    assert [content[name] for name in ("format", "kind", "type")] == [
        "atomplete 2",
        "descriptor",
        "three_center",
    ]
    assert "torch" in content["versions"]
    with pytest.raises(
        InputError, match=r"x\.pt: holds a descriptor \(three_center\), not a other"
    ):
        load(tmp_path / "x.pt", Other)


def test_saving_leaves_one_file(descriptor, tmp_path):
    save(tmp_path / "x.pt", descriptor)
    save(tmp_path / "x.pt", descriptor)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


class Exploit:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_code_in_a_file_is_not_executed(write, tmp_path):
    executed, path = tmp_path / "executed", tmp_path / "x.pt"
    write({"format": "atomplete 2", "spec": Exploit(executed)}, path)
    with pytest.raises(InputError, match=r"x\.pt"):
        load(path)
    assert not executed.exists()
    torch.load(path, weights_only=False) if write is torch.save else pickle.loads(path.read_bytes())
    assert executed.exists()  # the file would have done it


def changed_spec(descriptor, **changes):
    return json.dumps(json.loads(descriptor.spec.model_dump_json()) | changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "atomplete model 1"}, "not an atomplete checkpoint"),
        ({"format": None}, "not an atomplete checkpoint"),
        ({"kind": "solid"}, "a solid is nothing that this version knows"),
        ({"type": "soap"}, "descriptor 'soap' is none of .*'density_correlations'"),
        ({"spec": "{"}, "cannot read"),
        ({"spec": 3}, "cannot read"),
        ({"spec": lambda d: changed_spec(d, colour="red")}, "cannot read"),
        ({"spec": lambda d: changed_spec(d, tag_cutoff=9.0)}, "cannot read .tag_cutoff 9"),
        ({"state": {}}, "cannot read"),
        ({"state": [1.0]}, "cannot read"),
        ({"state": lambda d: d.state_dict() | {"even": torch.zeros(3, 3)}}, "cannot read"),
    ],
)
def test_content_that_cannot_be_read_is_refused_in_one_sentence(
    change, message, descriptor, tmp_path
):
    save(tmp_path / "x.pt", descriptor)
    content = read_tensors(tmp_path / "x.pt")
    content |= {k: value(descriptor) if callable(value) else value for k, value in change.items()}
    write_tensors(tmp_path / "x.pt", content)
    with pytest.raises(InputError, match=rf"x\.pt: .*{message}") as caught:
        load(tmp_path / "x.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["spec", "state"])
def test_content_that_lacks_a_part(key, descriptor, tmp_path):
    save(tmp_path / "x.pt", descriptor)
    content = read_tensors(tmp_path / "x.pt")
    del content[key]
    write_tensors(tmp_path / "x.pt", content)
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path / "x.pt")


NO_CHECKPOINT = {
    "empty": b"",
    "text": b"3\n\nB 0 0 0\n",
    # these run torch's reader of old formats into errors of many types
    "letters": b"It is late",
    "integer": b"I1\n.",
    "pickle": pickle.dumps([1, 2]),
    "half a pickle": b"\x80\x02]",
    "archive": b"PK\x03\x04",
    "noise": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("content", NO_CHECKPOINT.values(), ids=NO_CHECKPOINT)
def test_what_is_no_checkpoint(content, tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.pt: not a checkpoint"):
        load(path)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "absent.pt", tmp_path):
        with pytest.raises(InputError, match="no such file"):
            load(path)


def test_a_list_of_tensors(tmp_path):
    torch.save([torch.zeros(3)], tmp_path / "x.pt")
    with pytest.raises(InputError, match="not an atomplete"):
        load(tmp_path / "x.pt")


def test_truncated_anywhere(descriptor, tmp_path):
    save(tmp_path / "good.pt", descriptor)
    content = (tmp_path / "good.pt").read_bytes()
    for size in range(0, len(content), len(content) // 40):
        (tmp_path / "cut.pt").write_bytes(content[:size])
        with pytest.raises(InputError, match=r"cut\.pt"):
            load(tmp_path / "cut.pt")


def test_one_wrong_bit_among_the_weights(descriptor, tmp_path):
    save(tmp_path / "good.pt", descriptor)
    content = bytearray((tmp_path / "good.pt").read_bytes())
    content[content.index(descriptor.even.numpy().tobytes()) + 100] ^= 1
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path / "bad.pt")


def test_plain_data_round_trips(tmp_path):
    content = {"a": 1, "b": [1.5, "x"], "t": torch.arange(3)}
    write_tensors(tmp_path / "x.pt", content)
    found = read_tensors(tmp_path / "x.pt")
    assert torch.equal(found.pop("t"), content.pop("t"))
    assert found == content
