"""Checkpoints: spec and state dict in one file, read without executing anything."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from atomplete.errors import InputError
from atomplete.files import atomic_write
from atomplete.models.energy import EnergyModel, EnergyModelSpec

_FORMAT = "atomplete model 1"


def save(path: Path | str, model: EnergyModel) -> None:
    """Write a model to one file, which takes the place of an older one only when complete.

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.models.linear import LinearSpec
    >>> from atomplete.representations import NAMED
    >>> spec = EnergyModelSpec(
    ...     representation=NAMED["power_spectrum"], model=LinearSpec(), species=(5,)
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/model.pt", EnergyModel(spec))
    ...     load(f"{folder}/model.pt").spec == spec
    True
    """
    spec = model.spec.model_dump_json()
    write_tensors(path, {"format": _FORMAT, "spec": spec, "state": model.state_dict()})


def load(path: Path | str) -> EnergyModel:
    """Read a model that ``save`` wrote; nothing that the file might hold is executed.

    Raises
    ------
    InputError
        If the file is missing, is no checkpoint, or holds a spec that is not understood.

    Examples
    --------
    >>> load("absent.pt")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.pt: no such file
    """
    content = read_tensors(path)
    if content.get("format") != _FORMAT:
        raise InputError(f"{path}: not an atomplete model")
    try:
        spec = EnergyModelSpec.model_validate(json.loads(content["spec"]))
        model = EnergyModel(spec)
        model.load_state_dict(content["state"])
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path}: a model that this version cannot read ({first})") from error
    return model


def write_tensors(path: Path | str, content: dict[str, Any]) -> None:
    """Write plain data and tensors, under a temporary name first."""
    with atomic_write(path) as temporary:
        torch.save(content, temporary)


def read_tensors(path: Path | str) -> dict[str, Any]:
    """Read what ``write_tensors`` wrote; nothing but plain data and tensors is accepted."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        # torch would take anything else for a format of its past, and does not look at checksums
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, OSError, ValueError, pickle.UnpicklingError, RuntimeError) as error:
        raise InputError(f"{path}: not a checkpoint, or a damaged one") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not an atomplete checkpoint")
    return content
