"""Options of a verb, made from its pydantic model."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from pydantic import BaseModel, BeforeValidator, Field
from typer.testing import CliRunner

from atomplete.cli.options import Given, bytes_of, with_options
from atomplete.errors import InputError


class PaintOptions(BaseModel):
    wall: Annotated[list[Path], typer.Argument(help="Walls.")] = Field(default_factory=list)
    n: int = Field(2, ge=1, description="Number of coats")
    colour: Literal["red", "blue"] = Field("red", description="Colour")
    mixed: bool = Field(False, description="Mix the colours")
    dry_first: bool = Field(True, description="Dry between coats")
    shares: tuple[float, float] = Field((1.0, 0.5), description="Shares of both pots")
    names: tuple[str, ...] = Field(("a", "b"), description="Names of the pots")
    room: float | None = Field(None, gt=0, description="Room in m² (default: measured)")
    memory: Annotated[int, BeforeValidator(bytes_of)] = Field(
        "2GB", validate_default=True, description="Memory"
    )
    secret: int = 7


@pytest.fixture
def paint():
    """The command, and what it was called with."""
    found = []

    def paint(options: PaintOptions) -> None:
        """Paint."""
        found.append(options)

    app = typer.Typer()
    app.command()(with_options(paint, PaintOptions))

    def run(*arguments, code=0):
        outcome = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert outcome.exit_code == code, outcome.output
        return found.pop() if found else outcome

    return run


def test_nothing_given_is_the_model(paint):
    assert paint() == PaintOptions()
    assert PaintOptions().memory == 2 * 10**9


def test_each_kind_of_option(paint):
    command = "-n 3 --colour blue --mixed --no-dry-first --shares 0.25 4 --names x,y,z --room 2.5"
    found = paint(*command.split(), "--memory", "1 MB", "north", "south")
    assert found == PaintOptions(
        wall=[Path("north"), Path("south")],
        n=3,
        colour="blue",
        mixed=True,
        dry_first=False,
        shares=(0.25, 4.0),
        names=("x", "y", "z"),
        room=2.5,
        memory="1MB",
    )


def test_the_file_gives_what_the_command_line_does_not(paint, tmp_path):
    (tmp_path / "o.yaml").write_text("n: 5\ncolour: blue\nsecret: 1\nmixed: true\n")
    found = paint("--config", tmp_path / "o.yaml", "-n", 4)
    assert found == PaintOptions(n=4, colour="blue", secret=1, mixed=True)


def test_help_states_defaults_and_leaves_out_what_has_no_description(paint):
    text = " ".join(paint("--help").output.replace("│", " ").split())
    for part in (
        "Number of coats (default: 2).",
        "Colour (default: red).",
        "Mix the colours.",
        "--no-dry-first",
        "(default: 1.0 0.5).",
        "(default: a,b).",
        "Room in m² (default: measured).",
        "Memory (default: 2GB).",
    ):
        assert part in text
    assert "secret" not in text
    paint("--secret", 1, code=2)


def test_values_are_checked_by_the_model():
    def paint(given: Given) -> None:
        given.resolved(PaintOptions)

    arguments = dict.fromkeys(PaintOptions.model_fields) | {"n": 0, "config": None}
    del arguments["secret"]
    with pytest.raises(InputError, match="option n = 0 should be greater than or equal to 1"):
        with_options(paint, PaintOptions)(**arguments)


@pytest.mark.parametrize("size", ["", "4 GBit", "0", "-1GB", "GB", "1e999", "nan"])
def test_sizes_that_are_none(size):
    with pytest.raises(InputError, match="is not a size like 4GB"):
        bytes_of(size)
