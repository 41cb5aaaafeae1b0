"""The kernel, compiled from its sources into a folder of the tests."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from atomplete.kernel import library


@pytest.fixture(scope="session")
def compiler():
    found = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if found is None:
        pytest.skip("no compiler of C++ at hand")
    return [found, "-std=c++17", "-march=native", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@pytest.fixture(scope="session")
def compiled(compiler, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    source = Path(library.__file__).parent / "library.cpp"
    options = ["-O2", "-shared", "-fPIC", "-fopenmp", "-o", folder / "library.so"]
    subprocess.run([*compiler, *options, source], check=True)
    return folder


@pytest.fixture
def built(compiled, monkeypatch):
    """The library as if it had been installed."""
    monkeypatch.setattr(library, "FOLDER", compiled)
    library.library.cache_clear()
    yield
    library.library.cache_clear()


@pytest.fixture
def not_built(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "FOLDER", tmp_path / "none")
    library.library.cache_clear()
    yield
    library.library.cache_clear()
