import json
import subprocess
import sys

import pytest
import yaml
from ase.build import bulk

from atomplete.cli import main
from atomplete.data import read_structures, write_structures


@pytest.fixture
def atomplete(monkeypatch, capfd):
    """Runs a command line; exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["atomplete", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, *capfd.readouterr()

    return run


@pytest.fixture
def copper(tmp_path):
    structures = []
    for seed in range(4):
        structures.append(bulk("Cu", cubic=True))
        structures[-1].rattle(0.05, seed=seed)
    write_structures(tmp_path / "in.xyz", structures)
    return tmp_path / "in.xyz"


def test_a_campaign_with_all_options(copper, tmp_path, atomplete):
    (tmp_path / "other.yaml").write_text("method: ase:emt\nslice: '2:'\nworkers: 1\n")
    other = tmp_path / "other.xyz"
    code, out, _ = atomplete("label", copper, "-o", other, "--config", tmp_path / "other.yaml")
    assert (code, out) == (0, f"2 structures labelled in {other} (0 from the journal), 0 failed\n")
    output = tmp_path / "out.xyz"
    arguments = ["label", copper, "-o", output, "--method", "ase:emt", "--workers", 1, "--quiet"]
    arguments += ["--nice", 3, "--time-limit", 60, "--merge", f"{other}.journal.jsonl"]
    arguments += ["--licence", "CC-BY-4.0"]
    code, out, err = atomplete(*arguments, "--limit", 1)
    assert (code, err) == (0, "")
    assert out.endswith("(2 from the journal), 0 failed, 1 left for another run\n")
    code, out, err = atomplete(*arguments, "--max-hours", 1)
    assert (code, err) == (0, "")
    assert out == f"4 structures labelled in {output} (3 from the journal), 0 failed\n"
    card = yaml.safe_load((tmp_path / "out.xyz.card.yaml").read_text())
    assert card["licence"] == "CC-BY-4.0"
    assert card["theory"]["method"] == "ase:emt"
    assert card["units"]["stress"] == "eV/Å³"
    assert card["versions"]["ase"]
    assert len(card["sha256"]) == 64
    assert read_structures(output)[0].get_stress().shape == (6,)


def test_failures_and_conflicts_are_printed(copper, tmp_path, atomplete):
    text = copper.read_text().splitlines()
    text[8] = "Cu x y z"
    copper.write_text("\n".join(text) + "\n")
    output = tmp_path / "out.xyz"
    arguments = ["label", copper, "-o", output, "--method", "ase:emt", "--workers", 1, "--quiet"]
    code, out, err = atomplete(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"atomplete: {copper}, structure 1: ")
    assert err.count("\n") == 1
    code, out, err = atomplete(*arguments, "--skip-unreadable")
    assert (code, out[:8]) == (0, "3 struct")
    assert err.startswith("structure 1 failed: not understood as extended XYZ")
    journal = tmp_path / "out.xyz.journal.jsonl"
    lines = journal.read_text().splitlines()
    (tmp_path / "other.jsonl").write_text(lines[0].replace('"energy": ', '"energy": 1') + "\n")
    arguments += ["--skip-unreadable", "--merge", tmp_path / "other.jsonl"]
    code, _, err = atomplete(*arguments)
    assert code == 0
    assert f"conflict, {tmp_path / 'other.jsonl'}: ase:emt labels of structure" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--time-limit", "0"], "option time_limit = 0.0"),
        (["--slice", "1"], "slice '1': it must be A:B, as in 0:500"),
        (["--dry-run"], "--dry-run prints the job script of --slurm, which is not given"),
        (["--slurm", "a", "--scheduler", "b"], "options scheduler and slurm exclude each other"),
        (["--slurm", "absent.yaml"], "absent.yaml: cannot be read"),
        (["--slurm", "slurm.yaml"], "slurm.yaml: option job_script_prologue = 'module load x'"),
        (["--method", "ase:emd"], "ase:emd: not found"),
        (["--workers", "0"], "option workers = 0 should be greater"),
        (["--workers", "100000"], "the number of workers must be 4096 at the most"),
        (["--time-limit", "1e300"], "the time limit must lie between 0 and 2147483 s"),
        (["--time-limit", "inf"], "option time_limit = inf should be a finite number"),
        (["--max-hours", "nan"], "option max_hours = nan should be a finite number"),
        (["--limit", "-1"], "option limit = -1 should be greater"),
        (["--nice", "20"], "option nice = 20 should be less"),
        (["--config", "xtb.yaml"], "label method xtb has no option 'name'; choose from elect"),
        (
            ["--config", "big.yaml"],
            "xtb option max_iterations must be a positive integer, not 3000",
        ),
        (["--config", "pbe.yaml"], "pbe option forces must be true or false, not 'no'"),
        (["--config", "nan.yaml"], "settings must be plain values"),
        (["--config", "self.yaml"], "cannot be made with {'self': 1}"),
        (["--config", "twice.yaml"], "twice.yaml: not YAML ('method' is given twice"),
        (["--merge", "absent.jsonl"], "absent.jsonl: the journal cannot be read"),
    ],
)
def test_one_sentence_for_what_cannot_be(
    copper, tmp_path, atomplete, monkeypatch, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slurm.yaml").write_text("job_script_prologue: module load x\n")
    for name, text in {
        "xtb": "method: xtb\nsettings: {name: x}",
        "big": "method: xtb\nsettings: {max_iterations: 3000000000}",
        "pbe": "method: pbe\nsettings: {forces: no}",
        "nan": "method: ase:lj\nsettings: {epsilon: .nan}",
        "self": "method: ase:lj\nsettings: {self: 1}\nworkers: 1",
        "twice": "method: ase:lj\nmethod: xtb",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    code, out, err = atomplete("label", copper, "-o", tmp_path / "out.xyz", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_setting_of_any_name_reaches_the_calculator(copper, tmp_path, atomplete):
    """Also that of an argument of our own."""
    (tmp_path / "own.py").write_text(
        "from ase.calculators.emt import EMT\ndef make(name, path): return EMT()\n"
    )
    (tmp_path / "o.yaml").write_text("settings: {name: x, path: 3}\nworkers: 1\n")
    output, method = tmp_path / "out.xyz", f"{tmp_path / 'own.py'}:make"
    arguments = ["label", copper, "-o", output, "--method", method, "--config", tmp_path / "o.yaml"]
    assert atomplete(*arguments)[0] == 0
    settings = json.loads(read_structures(output)[0].info["label_settings"])
    assert (settings["name"], settings["path"]) == ("x", 3)


def test_the_job_script_is_printed_without_slurm(copper, tmp_path):
    pytest.importorskip("dask_jobqueue")
    (tmp_path / "slurm.yaml").write_text(
        "jobs: 3\ncores: 8\nmemory: 16GB\nqueue: long\nwalltime: 24:00:00\n"
    )
    command = [sys.executable, "-m", "atomplete.cli", "label", str(copper), "-o", "out.xyz"]
    command += ["--slurm", str(tmp_path / "slurm.yaml"), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "#SBATCH -p long" in done.stdout
    assert "#SBATCH --cpus-per-task=8" in done.stdout
    assert "#SBATCH -t 24:00:00" in done.stdout
    assert not (tmp_path / "out.xyz").exists()


def test_a_bad_journal_to_merge_leaves_nothing_behind(copper, tmp_path, atomplete):
    (tmp_path / "bad.jsonl").write_text("no label\n")
    output = tmp_path / "out.xyz"
    arguments = ["label", copper, "-o", output, "--method", "ase:emt"]
    code, _, err = atomplete(*arguments, "--merge", tmp_path / "bad.jsonl")
    assert code == 2
    assert "bad.jsonl, line 1: this is no label" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "in.xyz"]


def test_the_input_is_not_written_over(copper, tmp_path, atomplete):
    before = copper.read_text()
    (tmp_path / "link.xyz").symlink_to(copper)
    for output in (copper, tmp_path / "link.xyz"):
        code, _, err = atomplete("label", copper, "-o", output, "--method", "ase:emt")
        assert code == 2
        assert "it is an input" in err
    assert copper.read_text() == before
    assert not list(tmp_path.glob("*.jsonl"))
