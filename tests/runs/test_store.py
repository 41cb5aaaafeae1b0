"""Results that are made once, and again only if what they depend on has changed."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import BaseModel

from atomplete.runs.store import Store, identity_of


class Model(BaseModel):
    x: float
    parts: tuple[float, ...] = ()


@dataclass(frozen=True)
class Record:
    x: float
    model: Model | None = None


def fail():
    raise AssertionError("made again")


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        (Model, Model(x=0.1 + 0.2, parts=(1e-300, 2 / 3))),
        (Record, Record(1 / 3, Model(x=-0.0))),
        (list[Record], [Record(math.inf)]),
        (dict[str, int], {"a": 1}),
    ],
)
def test_a_result_comes_back_equal_to_the_last_bit(tmp_path, kind, result):
    store = Store(tmp_path / "deep" / "folder")
    assert store.get("one", "id", kind, lambda: result) == result
    assert store.get("one", "id", kind, fail) == result


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "{}", '{"identity": "id", "result": {"x": "y"}}']
)
def test_what_cannot_be_read_is_made_anew(tmp_path, damage):
    (tmp_path / "one.json").write_text(damage)
    assert Store(tmp_path).get("one", "id", Model, lambda: Model(x=1)) == Model(x=1)
    assert json.loads((tmp_path / "one.json").read_text())["identity"] == "id"


def test_nothing_is_left_of_a_result_that_fails(tmp_path):
    store = Store(tmp_path / "kept")
    with pytest.raises(AssertionError):
        store.get("one", "id", Model, fail)
    assert not (tmp_path / "kept").exists()


def test_cleared(tmp_path):
    store = Store(tmp_path / "kept")
    store.get("one", "id", Model, lambda: Model(x=1))
    store.clear()
    assert not store.folder.exists()
    store.clear()


def test_an_identity_depends_on_each_part():
    parts = [
        (1,),
        (1.0,),
        ("1",),
        (1, 1),
        (Model(x=1),),
        (Model(x=2),),
        (Record(1.0, Model(x=1)),),
        (np.zeros(2),),
        (np.zeros((2, 1)),),
        (np.zeros(2, dtype=np.float32),),
        (torch.ones(2),),
        ({"seed": [np.zeros(2)]},),
        (Path("a"),),
    ]
    identities = [identity_of(*part) for part in parts]
    assert len(set(identities)) == len(parts)
    assert identities == [identity_of(*part) for part in parts]
    assert identity_of({"a": 1, "b": 2}) == identity_of({"b": 2, "a": 1})
    assert identity_of(torch.arange(3)) == identity_of(np.arange(3))
    with pytest.raises(TypeError, match="cannot depend on a function"):
        identity_of(fail)
