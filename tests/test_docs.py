"""The documentation beside what its doctests cover: command lines run, and modules exist."""

import re
import shlex
from pathlib import Path

import pytest

import atomplete as package

ROOT = Path(package.__file__).parent
PROJECT = ROOT.parents[1]


def commands(page, heading):
    """Arguments of each ``atomplete`` command line in one section of a page."""
    text = (PROJECT / page).read_text()
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0].replace("\\\n", " ")
    lines = re.findall(r"^ *atomplete (.*)$", section, flags=re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.slow
def test_each_command_of_the_readme_finds_what_it_needs(atomplete):
    pytest.importorskip("tblite")
    pytest.importorskip("dscribe")
    verbs = []
    for arguments in commands("README.md", "Features and potentials for your structures"):
        outcome = atomplete(*arguments)
        assert outcome.code == 0, (arguments, outcome.err)
        verbs.append(arguments[0])
    assert {"generate", "label", "featurize", "train", "evaluate", "audit"} <= set(verbs)


@pytest.mark.parametrize("page", ["docs/theory.md"])
def test_modules_that_a_page_names_exist(page):
    text = (PROJECT / page).read_text()
    rooms = {path.name.removesuffix(".py") for path in ROOT.iterdir()}
    named = re.findall(r"`([a-z_0-9]+(?:\.[a-z_0-9]+)+)`", text)
    missing = []
    for name in named:
        path = ROOT.joinpath(*name.split("."))
        in_room = name.split(".")[0] in rooms and not name.endswith((".py", ".json", ".xyz"))
        if in_room and not (path.is_dir() or path.with_suffix(".py").is_file()):
            missing.append(name)
    assert named
    assert not missing, missing
