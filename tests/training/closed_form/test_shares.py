"""Shares of the data that are summed up here, in other processes, or in several runs: all alike."""

import os
import pickle
import sys
from functools import partial
from itertools import chain, islice

import numpy as np
import pytest
import torch
from alloys import alloy, fitted, fresh

from atomplete.errors import InputError
from atomplete.labels import call_in_order, dask_client
from atomplete.training.adam import AdamSpec
from atomplete.training.closed_form import derivative_rows
from atomplete.training.closed_form.shares import SHARES, shares_of
from atomplete.training.loss import Loss

LOSS = Loss(energy_per_atom=1.0, forces=1.0, stress=0.1)


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": ":0"}
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        distributed.LocalCluster(**options, env=paths) as cluster,
        dask_client(cluster.scheduler_address) as client,
    ):
        yield client


@pytest.fixture
def a_part_for_each_structure(monkeypatch):
    monkeypatch.setattr("atomplete.training.closed_form.derivative_rows.COPIES", 10**6)
    monkeypatch.setattr("atomplete.training.run.CHECKPOINT_INTERVAL", -1.0)


def through_pickle(function, calls):
    """Other processes, but for the processes."""
    for arguments in calls:
        yield pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(arguments)))))


def cut_short(remote, number):
    """The same, interrupted after some results."""

    def until(function, calls):
        yield from islice(remote(function, calls), number)
        raise KeyboardInterrupt

    return until


def predicted(folder, **options):
    structures = alloy(40)
    model = fitted(folder, structures, 30, LOSS, model=fresh(nu=(1, 2)), **options)
    found = model.predict(structures, ("forces", "stress", "energy_uncertainty"))
    return torch.cat([part.flatten() for part in vars(found).values() if part is not None])


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_runs_of_similar_size_in_bounded_parts(seed):
    rng = np.random.default_rng(seed)
    need = rng.integers(1, 100, size=rng.integers(1, 400)).tolist()
    memory = int(rng.integers(50, 500))
    shares = shares_of(need, memory)
    assert len(shares) <= max(1, min(SHARES, sum(need) // memory))
    assert list(chain(*chain(*shares))) == list(range(len(need)))
    for part in chain(*shares):
        assert len(part) == 1 or sum(need[part.start : part.stop]) <= memory
    sizes = [sum(need[k] for part in share for k in part) for share in shares]
    assert max(sizes) <= sum(need) / max(1, min(SHARES, sum(need) // memory)) + max(need)
    assert shares_of([], memory) == []


@pytest.mark.usefixtures("a_part_for_each_structure")
def test_the_sums_are_the_same_wherever_they_come_from(tmp_path):
    whole = predicted(tmp_path / "here")
    assert torch.equal(predicted(tmp_path / "there", remote=through_pickle), whole)
    # one that is taken up again, from there to here and back
    with pytest.raises(KeyboardInterrupt):
        predicted(tmp_path / "cut", remote=cut_short(through_pickle, 5))
    called, original = [], derivative_rows.derivative_rows

    def interrupted(*arguments):
        called.append(arguments)
        if len(called) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derivative_rows, "derivative_rows", interrupted)
        with pytest.raises(KeyboardInterrupt):
            predicted(tmp_path / "cut")
    left = []

    def counting(function, calls):
        for result in through_pickle(function, calls):
            left.append(result)
            yield result

    assert torch.equal(predicted(tmp_path / "cut", remote=counting), whole)
    assert 0 < len(left) <= SHARES - 5


def test_workers_of_another_version_are_refused(tmp_path):
    def older(function, calls):
        for content, *rest in calls:
            yield function(content | {"versions": content["versions"] | {"torch": "1.0"}}, *rest)

    with pytest.raises(InputError, match=r"workers have torch .*, but here it is 1\.0"):
        predicted(tmp_path, remote=older)


def test_other_solvers_have_nothing_to_share(tmp_path):
    with pytest.raises(InputError, match="a Dask cluster can help a fit in closed form only"):
        predicted(tmp_path, remote=through_pickle, spec=AdamSpec(epochs=1))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow  # three processes that load all
@pytest.mark.usefixtures("a_part_for_each_structure")
def test_a_cluster_gives_the_same_potential(tmp_path, client):
    whole = predicted(tmp_path / "here")
    workers = partial(call_in_order, client)
    same(predicted(tmp_path / "there", remote=workers), whole)
    with pytest.raises(KeyboardInterrupt):
        predicted(tmp_path / "cut", remote=cut_short(workers, 7))
    same(predicted(tmp_path / "cut", remote=workers), whole)


@pytest.mark.slow
@pytest.mark.usefixtures("a_part_for_each_structure")
def test_a_worker_that_is_lost_is_done_without(tmp_path, client):
    def killing(function, calls):
        for number, result in enumerate(call_in_order(client, function, calls)):
            if number == 2:
                os.kill(min(client.run(os.getpid).values()), 9)
            yield result

    same(predicted(tmp_path / "there", remote=killing), predicted(tmp_path / "here"))
