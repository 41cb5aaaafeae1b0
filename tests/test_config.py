from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from atomplete.config import checked, resolve
from atomplete.errors import InputError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int = 3


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seed: int = Field(default=0, ge=0)
    workers: int = 1
    inner: Inner = Inner()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("seed: 5\ninner: {width: 7}\n")
    return path


def test_command_line_over_file_over_defaults_over_the_model(file):
    given = {"seed": None, "workers": None}
    assert resolve(Outer, None, given) == Outer()
    assert resolve(Outer, None, given, {"workers": 8}).workers == 8
    found = resolve(Outer, file, given, {"workers": 8, "seed": 1})
    assert found == Outer(seed=5, workers=8, inner=Inner(width=7))
    assert resolve(Outer, file, {"seed": 0}).seed == 0


def test_an_empty_file_gives_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing but a comment\n")
    assert resolve(Outer, tmp_path / "empty.yaml", {}) == Outer()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sede: 3", "run.yaml: unknown option sede"),
        ("inner: {widht: 3}", "run.yaml: unknown option inner.widht"),
        ("inner: {width: broad}", "run.yaml: option inner.width = 'broad': Input should be"),
        ("seed: -1", "run.yaml: option seed = -1: Input should be greater than or equal to 0"),
        ("seed: [1, 2]", r"run.yaml: option seed = \[1, 2\]"),
        ("- seed", "run.yaml: not a list of options"),
        ("seed: {", "run.yaml: not YAML"),
    ],
)
def test_one_sentence_for_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "run.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        resolve(Outer, path, {})
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file():
    with pytest.raises(InputError, match=r"absent\.yaml: cannot be read"):
        resolve(Outer, Path("absent.yaml"), {})


def test_plain_data_is_checked_under_the_name_of_its_source():
    assert checked(Outer, {"seed": 2}, "settings").seed == 2
    with pytest.raises(InputError, match=r"^settings: unknown option inner\.x$"):
        checked(Outer, {"inner": {"x": 1}}, "settings")
