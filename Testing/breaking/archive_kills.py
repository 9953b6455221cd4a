"""Kill the client, a worker or the scheduler of runs over an archive at random moments, and compare the results.

    python Testing/breaking/archive_kills.py --count 20 --seed 1

The runs use a cluster that stays, on which what is killed is replaced; Testing/engine/test_archive_dask.py kills processes of
runs that start their own workers. Prints one line for each kill, and ends with code 1 if anything was lost or computed again.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTING), str(TESTING.parent)]

import stand_in_stages  # noqa: E402
from interrupted_runs import KILLS, Disturbed, Standing, tables  # noqa: E402

from oncotrack.archive.cases import cases_of  # noqa: E402
from oncotrack.archive.entries import write_index  # noqa: E402
from oncotrack.archive.index import index_archive  # noqa: E402
from oncotrack.archive.plan import Plan  # noqa: E402
from oncotrack.archive.run import run_archive  # noqa: E402
from oncotrack.archive.selection import Rules  # noqa: E402


def main() -> int:
    """Run the kills."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patients", type=int, default=8)
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that the cluster ends too
    chance, lost = random.Random(chosen.seed), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = stand_in_stages.write_cohort(folder / "root", chosen.patients)
        entries = list(index_archive(root, Rules(least_slices=4), processes=1).entries)
        index = write_index(folder / "index.parquet", entries, root)
        stand_in_stages.install()
        run_archive(cases_of(entries, root), Plan(method="affine"), folder / "undisturbed")
        expected = tables(folder / "undisturbed")
        cluster, done, runs = Standing(Disturbed(index, folder / "runs")), 0, 0
        try:
            while done < chosen.count:
                which, out, runs = list(KILLS)[done % len(KILLS)], folder / f"run{runs}", runs + 1
                if (again := cluster.kill(which, out, chance, 4 * chosen.patients)) is None:
                    continue  # the run ended first
                done += 1
                is_equal = tables(out) == expected
                lost += bool(again) or not is_equal
                result = f"{'equal' if is_equal else 'DIFFERENT'}, {len(again)} computed again"
                print(f"{done} {which}: {result}", flush=True)
        finally:
            cluster.close()
    print(f"{done} kills, {lost} with a loss")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
