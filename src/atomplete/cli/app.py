"""The application that all verbs belong to, and what they share."""

import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from atomplete.errors import InputError

app = typer.Typer(
    name="atomplete",
    help="Complete representations of atomic environments, and models built on them.\n\n"
    "Start with: atomplete reproduce --pairs 60 --budget smoke -o runs/smoke",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: Suffixes of extended XYZ.
XYZ = (".xyz", ".extxyz")

#: Top of a file of pairs that nobody has labelled yet.
PAIRS = r"\A.*\n(?!.*(?:energy|forces|label_method))(?=.*\bpair_id=).*\bfamily="

Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]

Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Open models of MACE and metatomic, whose own loaders run code that the file holds.",
    ),
]


def check_trusted(subjects: Iterable[str], trust: bool) -> None:
    """Refuse models that may run any code when they are opened, unless the user trusts them.

    A function or a calculator of the user's is code by intent, and our own files hold none.
    """
    for subject in () if trust else subjects:
        package, _, file = subject.partition("?")[0].partition(":")
        if package in ("mace", "metatomic") and file != "untrained":
            raise InputError(
                f"{subject}: the loader of {package} runs code that the file holds; "
                "give --trust if you know where it comes from"
            )


def _show_version(asked: bool) -> None:
    if asked:
        print(f"atomplete {version('atomplete')}")
        raise typer.Exit


@app.callback()
def options_of_all(
    show: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Take the options that come before a verb; the help of the application describes it."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in sentences about one of its structures; others are about something else."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(("structure ", "no structure ")):
            raise _named(path, error) from error
        raise


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Name the file in all sentences: they are about what it holds."""
    try:
        yield
    except InputError as error:
        raise _named(path, error) from error


def _named(path: Path, error: InputError) -> InputError:
    joint = ", " if str(error).startswith("structure ") else ": "
    return InputError(f"{path}{joint}{error}")


@contextmanager
def heeding_interrupts() -> Iterator[None]:
    """Let no Ctrl-C be lost that comes while Python runs code that may not raise, as __del__."""
    usual = sys.unraisablehook

    def once_more(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            # not from here, which may not raise either
            threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
        else:
            usual(unraisable)

    sys.unraisablehook = once_more
    try:
        yield
    finally:
        sys.unraisablehook = usual


def in_new_folder(path: Path) -> Path:
    """The same path, once its folder exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
