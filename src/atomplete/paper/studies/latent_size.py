"""Size of xi~: the error of the encoder–decoder against the number of its latents."""

import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from atomplete.latents import AutoEncoderSpec
from atomplete.paper.experiment import identity, open_runs
from atomplete.paper.options import ReproduceOptions
from atomplete.paper.results import RowResult
from atomplete.paper.seed_run import SeedRun
from atomplete.runs.files import write_json
from atomplete.runs.folder import in_run_folder
from atomplete.runs.store import Store

#: From less than the 3n − 6 = 18 degrees of freedom of eight atoms to many times as many.
SIZES = (8, 16, 32, 64, 128, 256, 512)


class LatentSize(RowResult):
    """Errors of the non-linear encoder–decoder with one latent.

    Examples
    --------
    >>> list(LatentSize.model_fields)[-1]
    'latent'
    """

    latent: int = Field(ge=2, description="numbers in xi~, a quarter of them pseudoscalars")


@in_run_folder("reproduce")
def latent_sizes(
    options: ReproduceOptions,
    folder: Path,
    sizes: Sequence[int] = SIZES,
    *,
    progress: bool = True,
) -> list[LatentSize]:
    """Train the row A_NL_rho with latents of several sizes; writes ``latent_size.json``.

    Parameters
    ----------
    options
        As of ``reproduce``; rows and all seeds but the first play no part.
    folder
        Sizes that an earlier run finished there are not trained again.
    sizes
        Numbers in xi~; a quarter of them are pseudoscalars.
    progress
        Whether to show how far it is.

    Examples
    --------
    >>> latent_sizes(ReproduceOptions(labels="absent.xyz"), Path("runs"))
    Traceback (most recent call last):
    atomplete.errors.InputError: labels absent.xyz: neither one of ...
    """
    single = options.model_copy(update={"seeds": options.seeds[:1]})
    (run,) = open_runs(single, ("three_center", "nice"), folder, progress)
    found = [_of_size(run, folder / "latent_size" / str(size), size) for size in sizes]
    write_json(folder / "latent_size.json", [entry.model_dump() for entry in found])
    return found


def _of_size(run: SeedRun, folder: Path, size: int) -> LatentSize:
    spec = run.budget.autoencoder
    encoder = spec.encoder.model_copy(update={"latent": (size - size // 4, size // 4)})
    result = Store(folder).get(
        "result",
        identity(run, latent=size),
        RowResult,
        lambda: _fitted(run, spec.model_copy(update={"encoder": encoder}), folder),
    )
    return LatentSize(latent=size, **result.model_dump())


def _fitted(run: SeedRun, spec: AutoEncoderSpec, folder: Path) -> RowResult:
    feature_seconds = sum(run.inputs(name).seconds for name in ("three_center", "nice"))
    started = time.monotonic()
    errors = run.reconstruction_errors(run.train_autoencoder(spec, folder))
    return RowResult.of(*errors, feature_seconds + time.monotonic() - started)
