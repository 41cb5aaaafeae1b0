"""One process at a time, in a folder or at a file."""

import os
import subprocess
import sys
import threading

import pytest

from atomplete.errors import InputError
from atomplete.runs.files import atomic_write
from atomplete.runs.folder import run_folder
from atomplete.runs.lock import Lock

HOLD = """
import sys, time
from pathlib import Path
from atomplete.runs.folder import run_folder
with run_folder(Path(sys.argv[1]), "train"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a folder until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_is_there(holder, tmp_path):
    with (
        pytest.raises(InputError, match=f"run: it is in use by process {holder.pid} on "),
        run_folder(tmp_path / "run", "train"),
    ):
        pass
    holder.kill()
    holder.wait()
    with run_folder(tmp_path / "run", "train"):  # a kill lets go of it
        assert (tmp_path / "run" / ".atomplete.lock").exists()
    assert not list((tmp_path / "run").iterdir())


def test_a_second_thread_is_another(tmp_path):
    said = []

    def enter():
        try:
            with run_folder(tmp_path / "run", "train"):
                said.append("entered")
        except InputError as error:
            said.append(str(error))

    with run_folder(tmp_path / "run", "train"):
        with run_folder(tmp_path / "." / "run", "train"):  # the same run
            pass
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert f"in use by process {os.getpid()}" in said[0]


def test_a_lock_that_was_removed_is_taken_anew(tmp_path):
    first = Lock(tmp_path / "lock", tmp_path)
    (tmp_path / "lock").unlink()
    second = Lock(tmp_path / "lock", tmp_path)
    second.release()
    first.release()
    assert not list(tmp_path.iterdir())


# files of a run's folder


def write(path, text):
    with atomic_write(path) as temporary:
        temporary.write_text(text)


def test_own_files_are_replaced_and_others_are_not(tmp_path):
    folder = tmp_path / "run"
    with run_folder(folder, "train"):
        write(folder / "a.txt", "1")
        write(folder / "a.txt", "2")
    (folder / "b.txt").write_text("mine")
    (folder / "empty.txt").touch()
    with run_folder(folder, "train", "a.txt"):
        write(folder / "a.txt", "3")
        write(folder / "empty.txt", "1")
        with pytest.raises(InputError, match=r"b\.txt: it is there already, and not from an"):
            write(folder / "b.txt", "1")
    with (
        pytest.raises(InputError, match=r"a\.txt.* `atomplete audit`"),
        run_folder(folder, "audit", "a.txt"),
    ):
        pass
    assert (folder / "a.txt").read_text() == "3"
    assert (folder / "b.txt").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == [
        ".atomplete", "a.txt", "b.txt", "empty.txt"
    ]  # fmt: skip


def test_files_of_folders_within(tmp_path):
    (tmp_path / "row").mkdir()
    (tmp_path / "row" / "model.pt").write_text("mine")
    with run_folder(tmp_path, "reproduce"), pytest.raises(InputError, match="there already"):
        write(tmp_path / "row" / "model.pt", "1")
    write(tmp_path / "row" / "model.pt", "1")  # in Python, outside of any run


def test_nothing_is_left_of_a_run_that_writes_nothing(tmp_path):
    with pytest.raises(InputError), run_folder(tmp_path / "a" / "b", "train"):
        raise InputError
    assert not list(tmp_path.iterdir())
    (tmp_path / "a").mkdir()
    with run_folder(tmp_path / "a", "train"):
        pass
    assert not list((tmp_path / "a").iterdir())


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_is_no_folder(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises((InputError, NotADirectoryError)), run_folder(tmp_path / name, "train"):
        pass
