"""Export of every item's neighbours through IVF: seconds of the whole process, and its peak memory.

usage: python scripts/bench/export.py [--items 50000 100000 200000] [--dim 64] [--neighbours 20]

"above the index" is the peak of the process less what it holds just to have the index open (the peak of a process
that answers one query), so that what export itself needs can be seen not to grow.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from generated import indexed

_PEAK = """\
import resource, sys
from embedrec.cli.main import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def measured(*arguments: str) -> tuple[float, float]:
    """Seconds and peak MB of a command."""
    started = perf_counter()
    done = subprocess.run([sys.executable, "-c", _PEAK, *arguments], check=True, capture_output=True, text=True)
    return perf_counter() - started, int(done.stderr.splitlines()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[50_000, 100_000, 200_000])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--neighbours", type=int, default=20)
    given = parser.parse_args()
    print(f"{'items':>9}  {'seconds':>7}  {'peak MB':>7}  {'above the index, MB':>19}  {'recall@20':>9}")
    for n in given.items:
        with tempfile.TemporaryDirectory() as folder:
            name = indexed(Path(folder), n, given.dim, "ivf")
            at = ("--index", name, "--workspace", folder)
            _, opened = measured("similar", f"spotify:artist:{0:022d}", *at)
            seconds, peak = measured("export", f"{folder}/similar.txt", "-n", str(given.neighbours), *at)
            with Path(folder, "similar.txt").open() as f:
                lines = sum(len(line.split()) == given.neighbours + 1 for line in f)
            assert lines == n, f"{lines} whole lines for {n} items"
            from embedrec import Workspace, load_index

            recall = load_index(Workspace(Path(folder)).find("index", name)).facts["recall@20"]
            print(f"{n:9,}  {seconds:7.2f}  {peak:7.0f}  {peak - opened:19.0f}  {recall:9.4f}", flush=True)


if __name__ == "__main__":
    main()
