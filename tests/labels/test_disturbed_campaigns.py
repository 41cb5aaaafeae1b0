"""Whatever goes wrong on the way: a rerun ends with the bytes of an undisturbed run."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ase import Atoms
from fake_methods import Fake
from label_runs import alive, started, wait_until, without_times

from atomplete.data import read_structures, write_structures
from atomplete.errors import InputError
from atomplete.labels import XTB, LocalWorkers, Selection, label_file
from atomplete.labels.workers.process import LabelProcess

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="looks for children in /proc"
)


@pytest.mark.slow
@needs_proc
def test_a_run_killed_again_and_again_leaves_no_orphans_and_resumes(undisturbed, tmp_path):
    output = tmp_path / "out.xyz"
    kept, finished = b"", 0
    for stop in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        run, journal, children = started(undisturbed / "in.xyz", output, finished + 10)
        if stop == signal.SIGINT:
            os.killpg(run.pid, stop)  # as Ctrl-C does
        else:
            run.send_signal(stop)
        run.communicate(timeout=60)
        wait_until(lambda children=children: not any(map(alive, children)))
        assert not output.exists()
        assert journal.read_bytes().startswith(kept)
        # the last line of a killed run may be torn
        kept = journal.read_bytes()
        kept = kept[: kept.rfind(b"\n") + 1]
        assert finished + 10 <= kept.count(b"\n") < 200
        finished = kept.count(b"\n")
    journal.write_bytes(kept + b'{"structure": "torn')
    with pytest.warns(UserWarning, match="last line is not complete"):
        done = label_file(undisturbed / "in.xyz", output, XTB(), 2, progress=False)
    assert (done.labelled, done.resumed) == (200, finished)
    assert journal.read_bytes().startswith(kept)
    assert journal.read_bytes().count(b"\n") == 200
    assert without_times(output) == without_times(undisturbed / "out.xyz")
    assert done.card.read_text() == (undisturbed / "out.xyz.card.yaml").read_text()


@pytest.mark.slow
@needs_proc
def test_a_killed_worker_is_replaced(undisturbed, tmp_path):
    output = tmp_path / "out.xyz"
    run, journal, children = started(undisturbed / "in.xyz", output)
    os.kill(int(children[0]), signal.SIGKILL)
    assert run.wait(timeout=60) == 0
    run.stderr.close()
    assert journal.read_bytes().count(b"\n") == 200
    assert without_times(output) == without_times(undisturbed / "out.xyz")


def calm(fake):
    Path(f"{fake.log}.calm").touch()


def label(tmp_path, fake, name="out.xyz", **options):
    workers = LocalWorkers(options.pop("n", 1), time_limit=options.pop("time_limit", None))
    given = tmp_path / "in.xyz", tmp_path / name, fake, workers
    return label_file(*given, progress=False, **options)


@pytest.mark.slow
def test_whatever_a_calculator_does_the_next_run_ends_as_if_it_had_not(rattled, tmp_path):
    acts = {
        1: ("raise", "RuntimeError: two lines"),
        2: ("garble", "ValueError: the energy of fake is not finite"),
        4: ("sleep", "no result within 2 s"),
        5: ("die", "its process died twice, the second time with exit code -9"),
        6: ("once", None),
    }
    structures = rattled(8)
    for index, (act, _) in acts.items():
        structures[index].info["act"] = act
    write_structures(tmp_path / "in.xyz", structures)
    fake = Fake(log=str(tmp_path / "calls.log"))
    disturbed = label(tmp_path, fake, n=2, time_limit=2.0)
    failures = tuple((index, reason) for index, (_, reason) in acts.items() if reason)
    assert (disturbed.labelled, disturbed.failed) == (4, failures)
    card = yaml.safe_load(disturbed.card.read_text())
    assert card["failures"] == [{"structure": i, "reason": text} for i, text in failures]
    assert card["counts"] == {"structures": 8, "labelled": 4, "failed": 4, "remaining": 0}
    entries = [json.loads(line) for line in disturbed.journal.read_text().splitlines()]
    assert {entry["reason"] for entry in entries} == {reason for _, reason in acts.values()}
    calm(fake)
    done = label(tmp_path, fake)
    assert (done.labelled, done.resumed, done.failed) == (8, 4, ())
    fresh = label(tmp_path, fake, "fresh.xyz")
    assert without_times(done.output) == without_times(fresh.output)


def test_what_failed_for_good_is_tried_again_on_request_only(rattled, tmp_path):
    structures = rattled(4)
    structures[1].info["act"] = "fail"
    write_structures(tmp_path / "in.xyz", structures)
    fake = Fake(log=str(tmp_path / "calls.log"))
    assert label(tmp_path, fake).failed == ((1, "SCF not converged"),)
    calm(fake)
    assert label(tmp_path, fake).resumed == 4
    done = label(tmp_path, fake, selection=Selection(retry_failed=True))
    assert (done.labelled, done.resumed) == (4, 3)


def test_an_unreadable_structure_in_the_middle(rattled, tmp_path):
    write_structures(tmp_path / "in.xyz", rattled(5))
    whole = (tmp_path / "in.xyz").read_text()
    lines = whole.splitlines()
    lines[25] = "B 0 zero 0"  # an atom of structure 2
    (tmp_path / "in.xyz").write_text("\n".join(lines) + "\n")
    fake = Fake(log=str(tmp_path / "calls.log"))
    with pytest.raises(InputError, match=r"in\.xyz, structure 2: not understood"):
        label(tmp_path, fake)
    assert not Path(fake.log).exists()
    done = label(tmp_path, fake, selection=Selection(skip_unreadable=True))
    kept = [atoms.info["pair_id"] for atoms in read_structures(done.output)]
    assert kept == [0, 1, 3, 4]
    assert [index for index, _ in done.failed] == [2]
    (tmp_path / "in.xyz").write_text(whole)
    done = label(tmp_path, fake)
    assert (done.labelled, done.resumed, done.failed) == (5, 4, ())
    fresh = label(tmp_path, fake, "fresh.xyz")
    assert without_times(done.output) == without_times(fresh.output)


def test_a_full_disk_is_one_sentence(rattled, tmp_path, monkeypatch):
    write_structures(tmp_path / "in.xyz", rattled(8))
    fake = Fake(log=str(tmp_path / "calls.log"))

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("atomplete.labels.journal.SYNC_INTERVAL", -1.0)
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"journal\.jsonl: it cannot be written \(No space"):
            label(tmp_path, fake)
    done = label(tmp_path, fake)
    assert (done.labelled, done.resumed) == (8, 1)
    fresh = label(tmp_path, fake, "fresh.xyz")
    assert without_times(done.output) == without_times(fresh.output)


@pytest.mark.slow
def test_a_disk_that_is_really_full(undisturbed, small_disk):
    output = small_disk("16k") / "out.xyz"
    command = [sys.executable, "-m", "atomplete.cli", "label", str(undisturbed / "in.xyz")]
    command += ["-o", str(output), "--workers", "2", "--slice", "0:40", "--quiet"]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr == (
        f"atomplete: {output}.journal.jsonl: it cannot be written (No space left on device); "
        "what is finished is kept, and the same command goes on from there\n"
    )
    lines = Path(f"{output}.journal.jsonl").read_text().splitlines()
    assert 5 < len(lines) < 40
    assert all(json.loads(line)["converged"] for line in lines)
    small_disk("1m")
    done = label_file(
        undisturbed / "in.xyz", output, XTB(), progress=False, selection=Selection("0:40")
    )
    assert (done.labelled, done.resumed) == (40, len(lines))
    whole = without_times(undisturbed / "out.xyz")
    assert whole.startswith(without_times(output))


def test_temporary_files_that_are_swept_away_fail_no_structure(tmp_path):
    """Systems clear their temporary folder by age, and campaigns run for weeks."""
    process = LabelProcess(Fake(str(tmp_path / "log")))
    atoms = Atoms("Ne", info={"act": "scratch"})
    assert process.label(atoms).converged
    shutil.rmtree(process._scratch.name)
    again = process.label(atoms)
    process.end()
    assert again.converged, again.reason
