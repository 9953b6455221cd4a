"""Patients of an archive on Dask workers: results as in one process, and kill -9 of any process loses nothing."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import interrupted_runs
import pytest
import stand_in_stages
from interrupted_runs import tables

from oncotrack.archive.cases import cases_of
from oncotrack.archive.cluster import Cluster, LostClusterError, computed, connect
from oncotrack.archive.entries import write_index
from oncotrack.archive.index import index_archive
from oncotrack.archive.plan import Plan
from oncotrack.archive.run import run_archive
from oncotrack.archive.selection import Rules
from oncotrack.errors import InputError

PATIENTS = 5
STAGES = PATIENTS * 4


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> tuple[Path, Path]:
    """An index, and the results of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("cohort")
    root = stand_in_stages.write_cohort(folder / "root", PATIENTS)
    entries = list(index_archive(root, Rules(least_slices=4), processes=1).entries)
    with pytest.MonkeyPatch.context() as context:
        stand_in_stages.install(context.setattr)
        run_archive(cases_of(entries, root), Plan(method="affine"), folder / "undisturbed")
    return write_index(folder / "index.parquet", entries, root), folder / "undisturbed"


@pytest.mark.slow
@pytest.mark.parametrize("which", interrupted_runs.KILLS)
def test_kill_9_loses_nothing_and_nothing_written_is_computed_again(cohort, tmp_path, which):
    index, undisturbed = cohort
    run = interrupted_runs.Disturbed(index, tmp_path)
    again = interrupted_runs.KILLS[which](run, random.Random(27), STAGES)
    assert again == []
    assert tables(run.out) == tables(undisturbed)


@pytest.mark.slow
def test_ctrl_c_ends_in_seconds_and_the_run_continues(cohort, tmp_path):
    index, undisturbed = cohort
    run = interrupted_runs.Disturbed(index, tmp_path, seconds=2.0)  # the signal must come long before the end
    process = run.start("--workers", "2")
    try:
        assert run.wait_for(3, process)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=interrupted_runs.SECONDS)
        assert process.returncode == 130 and "stopped by Ctrl+C" in err and "Traceback" not in err
        assert time.monotonic() - started < 30
    finally:
        interrupted_runs.end(process)
    before, offset = run.written(), run.count()
    interrupted_runs.finished(interrupted_runs.Disturbed(index, tmp_path).start("--workers", "2"))
    assert not [line for line in run.log.read_text().splitlines()[offset:] if line in before]
    assert tables(run.out) == tables(undisturbed)


def test_workers_have_equal_shares_of_the_memory():
    from distributed.system import MEMORY_LIMIT

    assert 0.99 * MEMORY_LIMIT < 4 * Cluster(workers=4).bytes <= MEMORY_LIMIT
    share = Cluster(workers=2, memory=0.75)
    with connect(share) as client:
        assert [each["memory_limit"] for each in client.scheduler_info()["workers"].values()] == [share.bytes] * 2


def test_an_address_without_a_scheduler_is_a_sentence(monkeypatch):
    monkeypatch.setattr("oncotrack.archive.cluster._CONNECT_S", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(InputError, match="There is no Dask scheduler at"), connect(Cluster(address)):
            pass


def test_a_scheduler_that_ends_while_a_result_is_on_its_way_is_said_to_be_lost(monkeypatch):
    from distributed import Client, Future
    from distributed.comm import CommClosedError

    def ends(_future) -> None:
        raise CommClosedError("closed")

    with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client:
        monkeypatch.setattr(Future, "result", ends)
        with pytest.raises(LostClusterError, match="scheduler"):
            list(computed(client, abs, [1], str))
