import pytest

from atomplete.runs import progress
from atomplete.runs.progress import progress_of


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_at_intervals_and_at_the_end(clock, capsys):
    with progress_of("labels", 30) as step:
        for _ in range(30):
            clock[0] += 1.0
            step()
    out, err = capsys.readouterr()
    assert out == ""  # results may be piped from there
    assert err.splitlines() == [
        "labels: 10 of 30, 1.0/s, 20 s left",
        "labels: 20 of 30, 1.0/s, 10 s left",
        "labels: 30 of 30, 1.0/s, 0 s left",
    ]


def test_slow_steps_are_given_in_seconds(clock, capsys):
    with progress_of("labels", 2) as step:
        clock[0] += 60.0
        step()
    assert capsys.readouterr().err == "labels: 1 of 2, 60 s each, 60 s left\n"


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with progress_of("labels", 3) as step:
        for _ in range(3):
            step()
    out, err = capsys.readouterr()
    assert out == ""
    assert "labels" in err
    assert "3/3" in err


@pytest.mark.parametrize(("total", "shown"), [(3, False), (0, True)])
def test_nothing_is_shown(capsys, total, shown):
    with progress_of("labels", total, shown) as step:
        for _ in range(total):
            step()
    assert capsys.readouterr() == ("", "")
