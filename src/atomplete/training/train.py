"""Training of a potential on a file of structures: what the verb ``train`` does."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ase import Atoms

from atomplete.checkpoint import save
from atomplete.config import checked, descriptor_spec
from atomplete.data.checks.labels import label_warnings
from atomplete.data.dataset import Dataset, Split
from atomplete.data.metrics import Metrics, metrics_of, parity_of
from atomplete.data.references import References, find_references
from atomplete.data.summary import describe_data
from atomplete.descriptors import DescriptorSpec
from atomplete.errors import InputError
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.potentials.base import Potential
from atomplete.registry import build, registered
from atomplete.runs.files import write_json
from atomplete.runs.folder import in_run_folder
from atomplete.runs.provenance import versions
from atomplete.system import Centers, System
from atomplete.training.closed_form.kept import SUMS, KeptFit, check_keeps
from atomplete.training.data import FitData, name_of
from atomplete.training.fit import fit
from atomplete.training.loss import Loss, check_labels
from atomplete.training.options import TrainOptions
from atomplete.training.presets import PRESETS
from atomplete.training.run import Remote

#: Cutoff of environments where none is given, Å.
CUTOFF = 5.0


@in_run_folder("train")
def train(
    source: Path | Sequence[Atoms],
    folder: Path,
    options: TrainOptions | None = None,
    *,
    potential: Potential | None = None,
    progress: bool = True,
    say: Callable[[str], None] = print,
    remote: Remote | None = None,
) -> Potential:
    """Fit a potential to labelled structures, and write it with all that tells how good it is.

    With ``update`` among the options, the fit is to the structures of an earlier one in closed form
    as well, whose sums were kept and whose features stay.

    Writes ``model.pt``, ``metrics.json`` (errors on training and validation data),
    ``parity.json`` (the numbers behind them), ``log.jsonl``, ``run.json`` (what was read, options,
    versions, hash of the data) and ``training.pt``, from which an interrupted run goes on; also
    ``sums.pt`` where sums are to be kept, and after an update.

    Parameters
    ----------
    source
        File of structures with labels, or the structures.
    folder
        Where to write.
    options
        Options.
    potential
        What to fit, in place of the one that the options describe.
    progress
        Whether to show how far it is.
    say
        Takes the description of the data, before the fit begins.
    remote
        Other processes to sum normal equations up in, as :class:`Task` takes them.

    Returns
    -------
    Potential
        The fitted potential.

    Raises
    ------
    InputError
        If labels that the loss asks for are missing, or cannot be used, and as ``KeptFit``.

    Examples
    --------
    >>> import tempfile
    >>> dimers = [
    ...     Atoms("B2", [(0, 0, 0), (0, 0, 1.4 + 0.05 * n)], info={"energy": (0.05 * n - 0.2) ** 2})
    ...     for n in range(10)
    ... ]
    >>> with tempfile.TemporaryDirectory() as out:
    ...     fitted = train(dimers, Path(out), TrainOptions(forces_weight=0), progress=False)
    10 structures: 10 structures of 2 atoms, none periodic; elements B
    ...
    """
    options = options or TrainOptions.model_validate({})
    if potential is not None:
        options = options.model_copy(update={"potential": potential.spec.model_dump(mode="json")})
    solver, loss, base = options.solver_spec(), None, None
    if options.keep_sums:
        check_keeps(solver)
    if options.update is not None:
        options.check_update(folder)
        base = KeptFit.read(options.update)
        potential, loss, solver = base.potential, base.loss, base.solver
    name, read = name_of(source), FitData.read(source, options, least=0 if base else 1)
    data = read if base is None else base.joined(read, name)
    dataset, split, isolated = data.dataset, data.split, data.isolated
    loss = loss or options.loss(dataset)
    given = options.references if base is None else base.given
    references = find_references(
        dataset, split.train.flatten(), isolated.structures, isolated.energies.tolist(), given
    )
    lines = [describe_data(read.dataset, options.keys(), references, name)]
    if base is not None:
        lines.append(f"added to the {len(base.data.dataset)} structures of {options.update}")
    said = "\n  ".join([*lines, *label_warnings(dataset, split, references)])
    say(said)
    for part in split:
        check_labels(dataset, loss, part.flatten())
    potential = potential or _described(options, dataset, references, split, progress)
    say(
        f"fitting {potential!r}\n  to {len(split.train)} structures, with {len(split.validation)} "
        f"to validate, by {solver.type}; weights: {_weights(loss)}"
    )
    keep, known = None, None
    if options.keep_sums or base is not None:
        kept = KeptFit(potential, data, given, loss, solver)
        say(f"{SUMS}, with which it can be updated, will take {kept.size / 1e6:.3g} MB")
        keep = partial(kept.write, folder / SUMS)
    if base is not None:
        known = base.data.split.train.flatten(), base.sums
    folder.mkdir(parents=True, exist_ok=True)
    fit(
        potential, dataset, split, loss, solver, folder,
        seed=options.seed, references=references, progress=progress, remote=remote,
        keep=keep, known=known,
    )  # fmt: skip
    if keep is not None and not (folder / SUMS).is_file():
        raise InputError(f"{folder / SUMS} is gone; remove training.pt beside it to fit anew")
    save(folder / "model.pt", potential)
    record = {
        "data": said,
        "data_sha256": dataset.hash,
        "options": options.model_dump(mode="json"),
        "loss": loss.model_dump(mode="json"),
        "versions": versions(),
    }
    _write_errors(potential, dataset, split, folder)
    write_json(folder / "run.json", record)
    return potential


def _described(
    options: TrainOptions,
    dataset: Dataset,
    references: References,
    split: Split,
    progress: bool,
) -> Potential:
    """The potential that the options describe; its descriptor is fitted where it needs it."""
    if options.potential is not None:
        spec_type, _ = registered(Potential, str(options.potential.get("type")))
        found: Potential = build(checked(spec_type, options.potential, "potential"))
        return found
    centers = System.centers_of(dataset.structures)
    descriptor = build(_descriptor_spec(options, dataset, split, centers))
    training = dataset.system(descriptor.cutoff, centers)
    training = training.select_structures(split.train.flatten())
    descriptor.fit([training], progress=progress)
    repulsion = options.repulsion or ("zbl" if centers == "all" else "none")
    given = {
        "descriptor": descriptor.spec,
        "readout": options.readout_spec(),
        "species": references.species,
        "centers": centers,
        "repulsion": None if repulsion == "none" else repulsion,
    }
    spec = checked(DescriptorPotentialSpec, given, "potential")
    return DescriptorPotential(spec, options.seed, descriptor)


def _descriptor_spec(
    options: TrainOptions, dataset: Dataset, split: Split, centers: Centers
) -> DescriptorSpec:
    """The descriptor that is named, or one of a size that fits the data."""
    given = options.descriptor or ("power_spectrum" if options.readout == "deep_set" else None)
    if given is None:
        system = dataset.system(options.cutoff or CUTOFF, centers)
        training = system.select_structures(split.train.flatten())
        return PRESETS[options.preset].descriptor(dataset, training)
    return descriptor_spec(given, structures=dataset.structures, cutoff=options.cutoff)


def _weights(loss: Loss) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in loss if value)


def _write_errors(potential: Potential, dataset: Dataset, split: Split, folder: Path) -> None:
    """Write errors on both parts of the data, and the numbers behind them."""
    errors: dict[str, Metrics] = {}
    parity = {}
    for part, groups in zip(("train", "validation"), split, strict=True):
        chosen = dataset.select(groups.flatten())
        asked = chosen.properties
        if part == "validation":  # of training data they would say little, and cost much
            wanted = {f"{name}_uncertainty" for name in asked}
            asked += tuple(name for name in potential.uncertainties if name in wanted)
        predicted = potential.predict(chosen.structures, asked, kernel=None)
        errors[part], parity[part] = metrics_of(chosen, predicted), parity_of(chosen, predicted)
    write_json(folder / "metrics.json", errors)
    write_json(folder / "parity.json", parity)
