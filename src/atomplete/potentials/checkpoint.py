"""Checkpoints: spec and state dict in one file, read without executing anything."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from atomplete.errors import InputError
from atomplete.latents.latent import Latent, LatentSpec
from atomplete.potentials.descriptor_potential import EnergyModel, EnergyModelSpec, describe
from atomplete.potentials.tight_binding.tight_binding import TightBinding, TightBindingSpec
from atomplete.runs.files import atomic_write

_MODEL, _LATENT = "atomplete model 1", "atomplete latent 1"
_TIGHT_BINDING = "atomplete tight binding 1"

Model = EnergyModel | TightBinding
Saved = TypeVar("Saved")
Restore = Callable[[Any, dict[str, Tensor]], Saved]


def save(path: Path | str, model: Model | Latent) -> None:
    """Write a model, or a trained latent, to one file; an older one stays until it is complete.

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.nn.linear import LinearSpec
    >>> from atomplete.descriptors import NAMED
    >>> spec = EnergyModelSpec(
    ...     representation=NAMED["power_spectrum"], model=LinearSpec(), species=(5,)
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/model.pt", EnergyModel(spec))
    ...     load(f"{folder}/model.pt").spec == spec
    True
    """
    kinds = {EnergyModel: _MODEL, Latent: _LATENT, TightBinding: _TIGHT_BINDING}
    spec, state = model.spec.model_dump_json(), model.state_dict()
    write_tensors(path, {"format": kinds[type(model)], "spec": spec, "state": state})


def load(path: Path | str) -> Model:
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
    kinds: dict[str, Restore[Model]] = {_MODEL: _energy_model, _TIGHT_BINDING: _tight_binding}
    return _read(path, kinds)


def load_latent(path: Path | str) -> Latent:
    """Read a latent that ``save`` wrote, as ``load`` reads a model.

    Examples
    --------
    >>> load_latent("absent.pt")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.pt: no such file
    """
    return _read(path, {_LATENT: _latent})


def _energy_model(plain: Any, state: dict[str, Tensor]) -> EnergyModel:
    spec, prefix = EnergyModelSpec.model_validate(plain), "representation."
    representation = describe(spec.representation)
    # first, because the number of features may be what a fit has found
    representation.load_state_dict(
        {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
    )
    model = EnergyModel(spec, representation=representation)
    model.load_state_dict(state)
    return model


def _tight_binding(plain: Any, state: dict[str, Tensor]) -> TightBinding:
    model = TightBinding(TightBindingSpec.model_validate(plain))
    model.load_state_dict(state)
    return model


def _latent(plain: Any, state: dict[str, Tensor]) -> Latent:
    latent = Latent(LatentSpec.model_validate(plain))
    latent.load_state_dict(state)
    return latent


def _read(path: Path | str, kinds: dict[str, Restore[Saved]]) -> Saved:
    content = read_tensors(path)
    restore = kinds.get(str(content.get("format")))
    if restore is None:
        raise InputError(f"{path}: not an {next(iter(kinds))[:-2]}")
    try:
        return restore(json.loads(content["spec"]), content["state"])
    except (KeyError, TypeError, RuntimeError, ValueError, AttributeError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path}: a model that this version cannot read ({first})") from error


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
