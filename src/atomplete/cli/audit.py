"""The verb ``audit``: what a descriptor or model cannot tell apart."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import Quiet, Trust, check_trusted
from atomplete.cli.options import verb
from atomplete.errors import InputError
from atomplete.runs.outputs import FolderOutput


class AuditOptions(BaseModel):
    """Options of ``audit``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    subjects: Annotated[
        list[str],
        typer.Argument(
            help="three_center, power_spectrum, N1nu2, a spec.yaml, a model.pt, file.py:function, "
            "dscribe:SOAP, featomic:SoapPowerSpectrum, mace:FILE, metatomic:FILE, ase:NAME, …; "
            "options may follow: 'dscribe:SOAP?n_max=6,l_max=4'."
        ),
    ] = Field(default_factory=list)
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    families: list[str] | None = Field(
        None, description="Families, such as b8,antipodal (default: all)"
    )
    n: int = Field(20, ge=1, description="Members of each family")
    seed: int | None = Field(
        None, ge=0, lt=2**32, description="Seed of random members (default: each family's own)"
    )
    pairs: Path | None = Field(
        None,
        description="Pairs of your own: two structures each, with pair_id, sign (+ or -) and, to "
        "look at one environment, center in the info",
    )
    position_precision: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Largest error of a coordinate of your pairs in Å, 0 for exact positions "
        "(default: half of the last decimal)",
    )
    sweep: bool = Field(False, description="Also find the smallest basis that separates")
    gallery: bool = Field(False, description="Audit the usual descriptors, side by side")


@verb(AuditOptions, FolderOutput("audit", ("audit.json", "run.json")))
def audit(
    options: AuditOptions,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for audit.json and run.json.")
    ] = None,
    trust: Trust = False,
    quiet: Quiet = False,
) -> None:
    """Find out what descriptors and models cannot tell apart, and how sure that is.

    Writes audit.json, a verdict for each subject and pair, and run.json with what the subjects
    are invariant to, options and versions. A function takes ASE atoms and, if it has such
    parameters, center, cutoff (Å) and species. With an output folder an interrupted audit goes on
    where it was, after the last family that a subject had finished.

    Example: atomplete audit power_spectrum dscribe:SOAP three_center -o audits
    """
    from atomplete.audit import audit as run_audit
    from atomplete.audit import gallery as subjects_of_gallery
    from atomplete.audit import (
        print_audit,
        print_sweep,
        subject_of,
        write_audit,
    )
    from atomplete.audit import sweep as run_sweep
    from atomplete.audit.gallery import as_markdown
    from atomplete.runs.files import atomic_write
    from atomplete.runs.provenance import versions_of
    from atomplete.runs.store import Store

    if not options.subjects and not options.gallery:
        raise InputError("no subject to audit: name one, such as three_center, or give --gallery")
    for name in options.options:
        if name not in options.subjects:
            raise InputError(f"options of {name}, which is no subject of this audit")
    check_trusted(options.subjects, trust)
    if options.gallery:
        chosen = subjects_of_gallery(options.subjects)
    else:
        chosen = [subject_of(name, options.options.get(name)) for name in options.subjects]
    content = options.model_dump(mode="json")
    store = None
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        store = Store(output / ".unfinished")
    result = run_audit(
        chosen,
        options.families,
        n=options.n,
        seed=options.seed,
        pairs=options.pairs,
        position_precision=options.position_precision,
        store=store,
        progress=not quiet,
    )
    steps = []
    if options.sweep:
        names = list(dict.fromkeys(pair.family for pair in result.pairs if not pair.own))
        steps = run_sweep(chosen, names, n=min(options.n, 5), seed=options.seed, progress=not quiet)
    if store is not None and output is not None:
        write_audit(output, result, chosen, content, steps)
        store.clear()
        if options.gallery:
            table = as_markdown(result, versions_of(subject.package for subject in chosen))
            with atomic_write(output / "gallery.md") as temporary:
                temporary.write_text(table + "\n", encoding="utf-8")
    print_audit(result)
    print_sweep(steps)
    if result.user_pairs is not None:
        for pair_id, remark in result.user_pairs.remarks.items():
            print(f"pair {pair_id}: {remark}")
    if output is not None:
        print(f"audit.json and run.json in {output}")
