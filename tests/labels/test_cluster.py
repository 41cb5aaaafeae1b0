import gc
import os
import re
import sys
import time

import pytest
from ase import Atoms
from fake_methods import Fake
from label_runs import children_of, without_times

from atomplete.data import read_structures
from atomplete.errors import InputError, MissingExtraError
from atomplete.labels import (
    XTB,
    DaskWorkers,
    LocalWorkers,
    Selection,
    call_in_order,
    dask_client,
    label_file,
    label_structures,
    slurm_cluster,
)

SLURM = {"cores": 2, "memory": "4GB", "queue": "long", "walltime": "02:00:00"}


# a Dask cluster and its workers are half a dozen processes, each of which loads all
real_cluster = pytest.mark.slow


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    # workers need the methods of these tests
    paths = os.pathsep.join(sys.path)
    with (
        distributed.LocalCluster(**options, env={"PYTHONPATH": paths}) as cluster,
        dask_client(cluster.scheduler_address) as client,
    ):
        yield client


@real_cluster
def test_a_cluster_gives_the_same_bytes(client, undisturbed, tmp_path):
    done = label_file(
        undisturbed / "in.xyz",
        tmp_path / "out.xyz",
        XTB(),
        DaskWorkers(client),
        progress=False,
        selection=Selection("0:40"),
    )
    assert done.labelled == 40
    whole = without_times(undisturbed / "out.xyz")
    assert whole.startswith(without_times(done.output))
    # nothing stays behind on the workers
    pids = client.run(os.getpid).values()
    assert not any(children_of(pid) for pid in pids)


@real_cluster
def test_what_goes_wrong_goes_wrong_alike(client, rattled, tmp_path):
    structures = rattled(7)
    acts = ("fail", "raise", "garble", "die", "sleep", "once")
    for atoms, act in zip(structures, acts, strict=False):
        atoms.info["act"] = act
    here, there = (
        label_structures(
            structures, Fake(log=str(tmp_path / name)), tmp_path / f"{name}.j", workers, False
        )
        for name, workers in (
            ("here", LocalWorkers(2, time_limit=2.0)),
            ("there", DaskWorkers(client, time_limit=2.0)),
        )
    )
    assert [label.reason for label in here] == [label.reason for label in there]
    assert [label.converged for label in there] == [False] * 5 + [True] * 2


@real_cluster
def test_a_refusal_ends_the_campaign(client, rattled, tmp_path):
    structures = rattled(4)
    structures[1].info["act"] = "refuse"
    with pytest.raises(InputError, match="late refusal"):
        label_structures(
            structures, Fake(str(tmp_path / "log")), tmp_path / "j", DaskWorkers(client), False
        )


@real_cluster
def test_a_worker_that_is_lost_is_done_without(client, rattled, tmp_path):
    structures = rattled(30)
    killed = []

    class Killing(DaskWorkers):
        def compute(self, method, structures):
            for index, label in super().compute(method, structures):
                if not killed:
                    killed.append(min(client.run(os.getpid).values()))
                    os.kill(killed[0], 9)
                yield index, label

    labels = label_structures(structures, XTB(), tmp_path / "j", Killing(client), False)
    assert [label.energy for label in labels] == [XTB().compute(a).energy for a in structures]


@real_cluster
def test_calls_end_in_their_order_or_in_one_sentence(client):
    assert list(call_in_order(client, pow, [(k, 2) for k in range(9)])) == [k**2 for k in range(9)]
    with pytest.raises(TypeError, match="bad operand"):
        list(call_in_order(client, abs, [("a",)]))
    with pytest.raises(InputError, match=r"the Dask workers lack a package .*no_such_package"):
        list(call_in_order(client, __import__, [("no_such_package",)]))
    with pytest.raises(InputError, match="Dask workers died of the same work"):
        list(call_in_order(client, os._exit, [(1,)]))


@real_cluster
def test_a_scheduler_that_goes_is_one_sentence():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(**options) as cluster,
        dask_client(cluster.scheduler_address) as c,
    ):
        results = call_in_order(c, time.sleep, [(0.5,) for _ in range(9)])
        next(results)
        cluster.close()
        with pytest.raises(InputError, match="the Dask scheduler is gone; the same command goes"):
            list(results)


def test_no_scheduler(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("atomplete.labels.workers.cluster.PATIENCE", 1)
    with (
        pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1 "),
        dask_client("tcp://127.0.0.1:1"),
    ):
        pass


def test_missing_packages_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"dask is not installed: .*atomplete\[dask\]"):
        list(DaskWorkers(None).compute(XTB(), [(0, Atoms("Ne"))]))
    monkeypatch.setitem(sys.modules, "dask_jobqueue.slurm", None)
    with (
        pytest.raises(MissingExtraError, match=r"dask-jobqueue is not installed"),
        slurm_cluster({}),
    ):
        pass


def test_the_job_script():
    pytest.importorskip("dask_jobqueue")
    with slurm_cluster({**SLURM, "job_script_prologue": ["module load x"]}) as cluster:
        script = cluster.job_script()
    assert script.startswith("#!")
    for line in ("#SBATCH -p long", "#SBATCH -t 02:00:00", "#SBATCH --cpus-per-task=2"):
        assert line in script
    assert "module load x" in script


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("cores", 0, "cores = 0 should be greater than or equal to 1"),
        ("cores", -4, "cores = -4 should be greater"),
        ("cores", 2.5, "cores = 2.5 should be a valid integer"),
        ("jobs", 0, "jobs = 0 should be greater"),
        ("processes", 0, "processes = 0 should be greater"),
        ("memory", 32, "memory = 32 should be a valid string"),
        ("memory", "32", "memory = '32'"),
        ("memory", "much", "memory = 'much'"),
        ("walltime", 86400, "walltime = 86400 should be a valid string"),
        ("walltime", "a day", "walltime = 'a day'"),
        ("queue", ["long"], "queue = ['long'] should be a valid string"),
        ("job_script_prologue", "module load x", "job_script_prologue = 'module load x'"),
        ("job_extra_directives", "--exclusive", "job_extra_directives = '--exclusive'"),
        ("job_directives_skip", "--mem", "job_directives_skip = '--mem'"),
        ("worker_extra_args", "--nthreads 1", "worker_extra_args = '--nthreads 1'"),
        ("scheduler_options", "host", "scheduler_options = 'host'"),
        ("death_timeout", float("inf"), "death_timeout = inf"),
        ("name", "mine", "unknown option name"),
        ("n_workers", 5, "unknown option n_workers"),  # which would submit jobs of its own
    ],
)
def test_slurm_options_have_types(option, value, words):
    pytest.importorskip("dask_jobqueue")
    with (
        pytest.raises(InputError, match=f"^SLURM options: .*{re.escape(words)}"),
        slurm_cluster({**SLURM, option: value}),
    ):
        pass


@pytest.mark.parametrize("walltime", ["24:00:00", "90", "90:00", "1-12", "1-12:30:00"])
def test_times_that_slurm_knows(walltime):
    pytest.importorskip("dask_jobqueue")
    with slurm_cluster({**SLURM, "walltime": walltime}) as cluster:
        assert f"#SBATCH -t {walltime}\n" in cluster.job_script()


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), 2.2e6, 1e300])
def test_time_limits_that_the_system_does_not_know(limit):
    for make in (
        lambda: LocalWorkers(time_limit=limit),
        lambda: DaskWorkers(None, time_limit=limit),
    ):
        with pytest.raises(InputError, match="time limit must lie between 0 and 2147483 s, not"):
            make()
    assert LocalWorkers(time_limit=2e6).time_limit == 2e6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"number": 0}, "workers must be 1 or more, not 0"),
        ({"number": -2}, "workers must be 1 or more, not -2"),
        ({"number": 10**6}, "workers must be 4096 at the most, not 1000000"),
        ({"nice": -1}, "niceness must lie between 0 and 19, not -1"),
        ({"nice": 20}, "niceness must lie between 0 and 19, not 20"),
    ],
)
def test_workers_that_make_no_sense(options, words):
    with pytest.raises(InputError, match=words):
        LocalWorkers(**options)


# dask-jobqueue lets go of a cluster that it could not make
@pytest.mark.filterwarnings("ignore:.*unclosed cluster:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed cluster:ResourceWarning")
def test_slurm_options_that_are_refused(monkeypatch, tmp_path):
    pytest.importorskip("dask_jobqueue")
    with (
        pytest.raises(InputError, match="SLURM options: unknown option memori"),
        slurm_cluster({"cores": 1, "memori": "4GB"}),
    ):
        pass
    gc.collect()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="there is no sbatch here"), slurm_cluster(SLURM, jobs=1):
        pass


def test_a_job_that_slurm_refuses_ends_the_campaign(monkeypatch, tmp_path):
    pytest.importorskip("dask_jobqueue")
    (tmp_path / "sbatch").write_text("#!/bin/bash\necho 'invalid partition' >&2\nexit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        pytest.raises(InputError, match="refuses the job: invalid partition"),
        slurm_cluster(SLURM, 1),
    ):
        pass


@real_cluster
def test_slurm_jobs_label(undisturbed, tmp_path, monkeypatch):
    """With a stand-in for SLURM that runs each job at once."""
    pytest.importorskip("dask_jobqueue")
    commands = {
        "sbatch": "[[ $1 == --test-only ]] && exit\n"
        'cp "${@: -1}" job.sh\nsetsid bash job.sh >job.log 2>&1 &\n'
        'echo "Submitted batch job $!"',  # a copy, as SLURM makes: the script is soon gone
        "scancel": 'for job in "$@"; do kill -- "-$job"; done',
    }
    for name, command in commands.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{command}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    with (
        slurm_cluster({**SLURM, "local_directory": str(tmp_path)}, jobs=1) as cluster,
        dask_client(cluster.scheduler_address) as client,
    ):
        done = label_file(
            undisturbed / "in.xyz",
            tmp_path / "out.xyz",
            XTB(),
            DaskWorkers(client),
            progress=False,
            selection=Selection("0:10"),
        )
    assert len(read_structures(done.output)) == 10
    whole = without_times(undisturbed / "out.xyz")
    assert whole.startswith(without_times(done.output))
