"""Export of every item's neighbours through IVF: seconds of the whole process, and its peak memory.

usage: python scripts/bench/export.py [--items 50000 100000 200000] [--dim 64] [--neighbours 20]
       python scripts/bench/export.py --beyond 1000000      time without the search, one line per format
       python scripts/bench/export.py --kills 200           killed by SIGKILL at random moments, and resumed

"above the index" is the peak minus the peak of a process that answers one query, so that it shows the memory of the
export itself, which should not grow with the number of items.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time, sleep

import numpy as np
from generated import clustered, indexed
from processes import started

from embedrec import TopK, Vocab
from embedrec.data.features import Features
from embedrec.data.result_lists import BLOCK, ResultLists
from embedrec.data.sessions import Sessions
from embedrec.export.file_format import layout_of
from embedrec.export.policies.base import PolicyInputs
from embedrec.export.policies.settings import Policies
from embedrec.export.write_lists import ExportSettings, export_lists

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


def beyond(n: int, k: int, names: list[str], policies: Policies) -> None:
    """Export precomputed lists: everything except the search."""
    print(f"{n:,} lists of {k}{policies.describe() and ', ' + policies.describe()}, beyond the search")
    print(f"{'format':>10}  {'seconds':>7}  {'processor':>9}  {'MB':>6}  {'more memory, MB':>15}")
    some, many = ready(5000, k), ready(n, k)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            target = Path(folder, f"lists.{name}")
            wanted = ExportSettings(k, policies, layout=layout_of(target.name))
            for answers in (some, many):  # kernels are compiled with a few
                material = PolicyInputs(answers.vocab, lambda: Sessions.of_lists([]), lambda: Features(Vocab([])))
                before, started, used = peak(), perf_counter(), process_time()
                export_lists(target, answers, wanted, material, {}, threads=2)
                seconds, used = perf_counter() - started, process_time() - used
            size = target.stat().st_size / 1e6
            print(f"{name:>10}  {seconds:7.2f}  {used:9.2f}  {size:6.0f}  {peak() - before:15.0f}", flush=True)
            target.unlink()


def peak() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ready(n: int, k: int) -> ResultLists:
    """Results without a search: random rows and scores, the same for every block except for an offset."""
    vocab = clustered(n, 1, clusters=1).vocab
    rng = np.random.default_rng(0)
    rows = rng.integers(1, n, (BLOCK, 3 * k))
    scores = -np.sort(-rng.random((BLOCK, 3 * k), dtype=np.float32), axis=1)

    def best(asked: np.ndarray, width: int) -> TopK:
        return TopK((rows[: len(asked), :width] + asked[:, None]) % n, scores[: len(asked), :width], vocab)

    return ResultLists(vocab, vocab, best, n - 1)


def killed(times: int, n: int) -> None:
    """Kill exports at random moments: the old file must be intact, and the resumed export equal to a complete one."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        code = f"from generated import indexed; from pathlib import Path; indexed(Path({folder!r}), {n}, 16, 'ivf')"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
        target = Path(folder, "similar.txt")
        command = ["export", str(target), "--resume", "--threads", "2", "--workspace", folder]
        os.waitpid(started(command), 0)
        begun = perf_counter()
        os.waitpid(started(command), 0)
        whole, expected = perf_counter() - begun, target.read_bytes()
        ended = resumed = 0
        for _ in range(times):
            target.write_bytes(b"the old one\n")
            process = started(command)
            sleep(rng.random() * whole)
            os.kill(process, signal.SIGKILL)
            ended += os.WIFSIGNALED(os.waitpid(process, 0)[1])
            assert target.read_bytes() in (b"the old one\n", expected), "a torn file"
            if rng.random() < 0.25:  # else the next one goes on, and is killed in turn
                log = Path(folder, ".similar.txt.work", "lists.log")
                resumed += log.is_file() and log.stat().st_size > 0
                os.waitpid(started(command), 0)
                assert target.read_bytes() == expected, "the resumed file differs"
                assert not list(Path(folder).glob(".similar*")), "something was left behind"
        print(f"{times} exports of {n:,} lists, {ended} ended by SIGKILL, {resumed} resumed: no torn file, equal bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[50_000, 100_000, 200_000])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--beyond", type=int, metavar="ITEMS")
    parser.add_argument(
        "--formats", nargs="+", default=["txt", "tsv", "jsonl", "redis", "parquet", "txt.zst", "txt.gz"]
    )
    parser.add_argument("--kills", type=int, metavar="TIMES")
    given = parser.parse_args()
    if given.beyond is not None:
        beyond(given.beyond, given.neighbours, given.formats, Policies())
        beyond(given.beyond, given.neighbours, given.formats[:1], Policies(min_score=0.5, mutual=True, csls=10))
        return
    if given.kills is not None:
        killed(given.kills, 20_000)
        return
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

            recall = load_index(Workspace(Path(folder)).find("index", name)).measurements["recall@20"]
            print(f"{n:9,}  {seconds:7.2f}  {peak:7.0f}  {peak - opened:19.0f}  {recall:9.4f}", flush=True)


if __name__ == "__main__":
    main()
