"""Counting pairs: speed against a Counter of combinations, memory under a budget, and quality against scipy.

usage: python scripts/bench/cooccurrence.py [DATA] [--only counter memory quality] [--playlists 5000] [--repeats 5]

DATA contains `mpd/train`, `mpd/test` and `artist_genres.parquet`. [default: ../shared/data beside the repository]

  counter  tracks of mpd/train: the counts of all pairs, and the model with 100 neighbours per track, against
           `Counter(combinations(playlist, 2))` as in the article on similar artists; the counts must be equal
  memory   peak anonymous memory of `train cooccurrence` and `train svd` on the tracks, and on a generated
           log of 20 million events and 2 million items, without and with --memory
  quality  artists in at least 5 playlists of mpd/train: DATA/../tools/similar_quality.py on the files of this project
           and of a reference of 20 lines; then `svd`, exactly and through an index, and `cooccurrence`

Times of `counter` exclude compilation. Seconds of embedrec are medians of the repeats, with two threads.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import chain, combinations
from pathlib import Path
from time import perf_counter

import numpy as np
import scipy.sparse as sp
from generated import shopping
from processes import measure

from embedrec.data.sessions import Sessions
from embedrec.kernels.pair_counts import COUNT, Formula
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.pair_counts import NO_NUMBERS, PairCounting, Pairs, one_mention
from embedrec.progress import quiet
from embedrec.storage.artifacts import read

ROOT = Path(__file__).resolve().parents[2]
THREADS = 2
LEAST = 5  # playlists of an artist
MEASURES = {"raw": {}, "normalised": {}, "cosine": {"shrinkage": 0}, "cosine 20": {"shrinkage": 20}}
SHOPPING = (4_000_000, 2_000_000)  # sessions, items
BUDGETS = (
    ("mpd-track", "cooccurrence", "256M"),
    ("mpd-track", "svd", "512M"),
    ("shopping", "cooccurrence", "1G"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--playlists", type=int, default=5000, help="of the Counter; fewer where it would take minutes")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for part in given.only:
            PARTS[part](given.data, Path(folder), given.playlists, given.repeats)


def embedrec(folder: Path, *words: object) -> list[str]:
    """Run a command of embedrec in a workspace."""
    return [sys.executable, "-m", "embedrec", *map(str, words), "--workspace", str(folder)]


def playlists(data: Path, folder: Path, level: str) -> Sessions:
    """mpd/train as sessions, prepared in the workspace."""
    done = folder / "sessions" / f"mpd-{level}"
    if not done.exists():
        prepare = embedrec(folder, "prepare", "mpd", data / "mpd" / "train", "--level", level)
        subprocess.run(prepare, check=True, capture_output=True)
    return Sessions.load(read(done, "sessions"))


# ---------------------------------------------------------------------------------------------- speed


def counter(data: Path, folder: Path, count: int, repeats: int) -> None:
    sessions = playlists(data, folder, "track")
    sessions = sessions.take(np.arange(min(count, len(sessions)))).drop_unused_items()
    lists = [
        sorted(set(sessions.vocab.ids[items].tolist())) for items in map(sessions.__getitem__, range(len(sessions)))
    ]

    def counts() -> Pairs:
        mentions = one_mention(sessions, np.arange(len(sessions.vocab)), 0)
        formula = Formula(COUNT, NO_NUMBERS, NO_NUMBERS, 0.0, 0.0, 0.0)
        return PairCounting(mentions, formula, THREADS, quiet).all_pairs()

    def model() -> object:
        return Cooccurrence("raw").fit(sessions, threads=THREADS)

    model(), counts()  # compiles
    pairs, fit = timed(repeats, counts), timed(repeats, model)
    started = perf_counter()
    article: Counter[tuple[str, str]] = Counter()
    for items in lists:
        article.update(combinations(items, 2))
    theirs = perf_counter() - started
    equal = same(article, counts(), sessions)
    print(
        f"counter  {len(lists):,} playlists, {len(article):,} pairs met {sum(article.values()):,} times: "
        f"Counter {theirs:.1f} s; "
        f"all counts {pairs:.3f} s ({theirs / pairs:.0f} times), {'equal' if equal else 'NOT EQUAL'}; "
        f"the model with 100 neighbours a track {fit:.3f} s ({theirs / fit:.0f} times)",
        flush=True,
    )


def same(article: Counter[tuple[str, str]], pairs: Pairs, sessions: Sessions) -> bool:
    """Whether a Counter of pairs of ids contains exactly these counts."""
    n, row = len(sessions.vocab), {i: r for r, i in enumerate(sessions.vocab.ids.tolist())}
    theirs = np.fromiter(map(row.__getitem__, chain.from_iterable(article)), np.int64, 2 * len(article)).reshape(-1, 2)
    theirs = theirs.min(axis=1) * n + theirs.max(axis=1)
    counts = np.fromiter(article.values(), np.int64, len(article))[np.argsort(theirs)]
    there = np.zeros(len(pairs.rows) + 1, dtype=np.int8)  # what an item has not is never written to
    np.add.at(there, pairs.starts, 1)
    np.add.at(there, pairs.ends, -1)
    there = np.cumsum(there[:-1]) > 0
    ours = np.repeat(np.arange(n), pairs.ends - pairs.starts) * n + pairs.rows[there]
    order = np.argsort(ours)
    return np.array_equal(ours[order], np.sort(theirs)) and np.array_equal(pairs.values[there][order], counts)


def timed(repeats: int, run: Callable[[], object]) -> float:
    """Median seconds of a run."""
    seconds = []
    for _ in range(repeats):
        started = perf_counter()
        run()
        seconds.append(perf_counter() - started)
    return statistics.median(seconds)


# ---------------------------------------------------------------------------------------------- memory


def memory(data: Path, folder: Path, count: int, repeats: int) -> None:
    playlists(data, folder, "track")
    shopping(*SHOPPING).drop_unused_items().save(folder / "sessions" / "shopping", {})
    for name, model, budget in BUDGETS:
        for given in ((), ("--memory", budget)):
            run = measure(embedrec(folder, "train", model, "--sessions", name, "--threads", THREADS, *given))
            print(
                f"memory   {model} of {name}, --memory {budget if given else 'none'}: {run.seconds:.1f} s, at most "
                f"{run.anonymous / 2**20:,.0f} MB resident without files, {run.peak / 2**20:,.0f} MB with them",
                flush=True,
            )


# ---------------------------------------------------------------------------------------------- quality


def twin(sessions: Sessions, rows: np.ndarray, name: str, k: int = 20) -> list[list[int]]:
    """Reference: the k nearest neighbours of each item by products in scipy; ties by lower row."""
    held = sp.csr_array(sessions.matrix()[:, rows] > 0, dtype=np.float64)
    counts = sp.csr_array(held.T @ held)
    s = counts.diagonal()
    counts.setdiag(0)
    t = np.asarray(counts.sum(axis=1)).ravel()
    near = []
    for a in range(len(rows)):
        b, c = (x[counts.indptr[a] : counts.indptr[a + 1]] for x in (counts.indices, counts.data))
        b, c = b[c > 0], c[c > 0]
        score = {
            "raw": c,
            "normalised": c / (t[a] + t[b]),
            "cosine": c / np.sqrt(s[a] * s[b]),
            "cosine 20": c / (np.sqrt(s[a] * s[b]) + 20),
        }[name]
        near.append(b[np.lexsort((b, -score.astype(np.float32)))][:k].tolist())
    return near


def quality(data: Path, folder: Path, count: int, repeats: int) -> None:
    sessions = playlists(data, folder, "artist")
    rows = np.flatnonzero(sessions.vocab.counts >= LEAST)
    ids, file = sessions.vocab.ids[rows], folder / "similar.txt"
    print(f"quality  {'':<28} {'P@20':>6} {'nDCG@20':>8} {'genre@10':>9} {'coverage':>9}")
    for name, settings in MEASURES.items():
        pairs = {"measure": name.split()[0], "min_count": LEAST, **settings}
        ours = exported(folder, "cooccurrence", *(w for k, v in pairs.items() for w in ("--set", f"{k}={v}")))
        tell(name, file, data)
        near = twin(sessions, rows, name)
        file.write_text("".join(" ".join(ids[[a, *b]]) + "\n" for a, b in enumerate(near)))
        tell(f"{name}, scipy twin", file, data)
        alike = sum(a == b for a, b in zip(ours, file.read_text().splitlines(), strict=True))
        print(f"         {alike:,} of {len(ours):,} lines are the twin's", flush=True)
    exported(folder, "cooccurrence")
    tell("cooccurrence, defaults", file, data)
    exported(folder, "svd")
    tell("svd, defaults", file, data)
    run = ("build-index", "--type", "ivf", "--model", "svd"), ("export", file)
    for words in run:
        subprocess.run(embedrec(folder, *words), check=True, capture_output=True)
    tell("svd, through ivf", file, data)


def exported(folder: Path, model: str, *settings: str) -> list[str]:
    """Train a model on the artists and export its similarity file; returns its lines."""
    train = embedrec(folder, "train", model, "--sessions", "mpd-artist", "--threads", THREADS, *settings)
    subprocess.run(train, check=True, capture_output=True)
    export = embedrec(folder, "export", folder / "similar.txt", "--model", model)
    subprocess.run(export, check=True, capture_output=True)
    return (folder / "similar.txt").read_text().splitlines()


def tell(name: str, file: Path, data: Path) -> None:
    """Print the figures of a similarity file."""
    tool = [sys.executable, data.parent / "tools" / "similar_quality.py", file]
    tool += [data / "mpd" / "train", data / "mpd" / "test", data / "artist_genres.parquet"]
    said = json.loads(subprocess.run(tool, check=True, capture_output=True, text=True).stdout)
    figures = [said[key] for key in ("P@20", "nDCG@20", "genre@10", "coverage")]
    print(f"quality  {name:<28} {figures[0]:6.4f} {figures[1]:8.4f} {figures[2]:9.4f} {figures[3]:9.4f}", flush=True)


PARTS = {"counter": counter, "memory": memory, "quality": quality}

if __name__ == "__main__":
    main()
