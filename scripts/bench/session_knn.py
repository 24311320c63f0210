"""Session kNN: speed, latency, memory and quality; compared with the package `wsknn` and with a matrix product.

usage: python scripts/bench/session_knn.py [DATA] [--data-sets diginetica nowplaying] [--only batch latency ...]

DATA contains `diginetica/` and `nowplaying/`, each with train_sessions.parquet and test_prefixes.parquet.
[default: ../shared/data beside the repository]

  batch    all prefixes at once, the best 20 items of each, every variant: prefixes per second, with one and more
  threads latency  one prefix at a time, from item ids to `recommend`: median and 99th percentile memory   the model's
  arrays and the scratch of two threads, relative to the arrays of the training sessions quality  Recall@20 and MRR@20
  of every variant with default settings, and of V-SKNN as in session-rec wsknn    against the package with the same
  sessions, settings and weights, one thread article  the 100 nearest of 1,000 sessions by the cosine of play counts:
  against scipy's product and argpartition

Times exclude compilation. Runs of the compared programs alternate; seconds are medians of the repeats.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions, sessionize
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.models import recipe_class
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.models.session_knn.variants import SSCF, VSKNN
from embedrec.models.session_knn.wsknn import WSKNN
from embedrec.readers import reader
from embedrec.splitting.test_cases import next_items
from embedrec.tabular.read_settings import ReadSettings

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = ("sknn", "vsknn", "stan", "vstan", "vmis", "sscf", "wsknn")
V_SKNN = VSKNN(500, 5000, position="div", similarity="vec", decay="div", idf=5.0)


class Data:
    """A data set: training sessions, test cases in their vocabulary, and all histories."""

    def __init__(self, folder: Path) -> None:
        read = reader("sessions")()
        self.name = folder.name
        self.train = sessionize(read.read([folder / "train_sessions.parquet"], ReadSettings()))
        test = read.read_test(folder / "test_prefixes.parquet", ReadSettings())
        self.questions = next_items(test).reindex(self.train.vocab)
        self.histories = self.questions.histories(0, len(self.questions))

    def sample(self, count: int) -> Sessions:
        """`count` random histories."""
        return self.histories.take(np.random.default_rng(0).permutation(len(self.histories))[:count])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--data-sets", nargs="+", default=["diginetica", "nowplaying"])
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    for name in given.data_sets:
        data = Data(given.data / name)
        size = f"{len(data.train):,} sessions, {len(data.train.items):,} events, {len(data.train.vocab):,} items"
        print(f"{name}: {size}; {len(data.histories):,} prefixes", flush=True)
        for part in given.only:
            PARTS[part](data, given.threads, given.repeats)


def batch(data: Data, threads: int, repeats: int) -> None:
    for name, recipe in {"vsknn, vec": V_SKNN, **{name: recipe_class(name)() for name in VARIANTS}}.items():
        one = recipe.fit(data.train)
        one.recommend(data.sample(10), 20)
        several = one.with_threads(threads)
        alone, together = timed(
            repeats,
            lambda m=one: m.recommend(data.histories, 20, exclude_seen=False),
            lambda m=several: m.recommend(data.histories, 20, exclude_seen=False),
        )
        rates = [len(data.histories) / seconds for seconds in (alone, together)]
        print(
            f"  batch    {name:<11} {rates[0]:>9,.0f} prefixes/s  {rates[1]:>9,.0f} with {threads} threads", flush=True
        )


def latency(data: Data, threads: int, repeats: int) -> None:
    ids = [data.train.vocab.ids[items].tolist() for items in each(data.sample(2000))]
    for name, recipe in {"vsknn, vec": V_SKNN, **{name: recipe_class(name)() for name in VARIANTS}}.items():
        model, taken = recipe.fit(data.train), []
        for i, history in enumerate(ids):
            started = perf_counter()
            model.recommend(Sessions.of_lists([history], data.train.vocab), 20, exclude_seen=False)
            if i >= 50:  # the first ones warm up
                taken.append(1000 * (perf_counter() - started))
        median, worst = np.quantile(taken, [0.5, 0.99])
        print(f"  latency  {name:<11} median {median:.3f} ms  p99 {worst:.3f} ms", flush=True)


def memory(data: Data, threads: int, repeats: int) -> None:
    given = sum(array.nbytes for array in (data.train.offsets, data.train.items, data.train.times) if array is not None)
    for name in VARIANTS:
        model = recipe_class(name)().fit(data.train, threads=2)
        model.recommend(data.histories, 20)
        held = [*model.arrays.values(), *model.index, *(array for scratch in model.scratch_pool for array in scratch)]
        size = sum({array.__array_interface__["data"][0]: array.nbytes for array in held}.values())
        print(f"  memory   {name:<11} {size / 1e6:.1f} MB, {size / given:.2f} times the sessions", flush=True)


def quality(data: Data, threads: int, repeats: int) -> None:
    terms = EvaluationSettings(at=(20,), exclude_seen=False, ties="conservative", draws=0)
    for name, recipe in {"vsknn, vec": V_SKNN, **{name: recipe_class(name)() for name in VARIANTS}}.items():
        metrics = evaluate(recipe.fit(data.train, threads=threads), data.questions, data.train, terms).metrics
        print(f"  quality  {name:<11} Recall@20 {metrics['recall@20']:.4f}  MRR@20 {metrics['mrr@20']:.4f}", flush=True)


def against_wsknn(data: Data, threads: int, repeats: int) -> None:
    from wsknn import fit

    train = replace(data.train, times=np.repeat(np.arange(len(data.train)), data.train.lengths))
    maps = {s: [items.tolist(), [s] * len(items)] for s, items in enumerate(each(train))}
    package = fit(
        maps,
        number_of_recommendations=20,
        number_of_neighbors=100,
        sampling_strategy="recent",
        sample_size=1000,
    )
    recipe = WSKNN(100, 1000, "recent", "linear", "linear", compat="wsknn")
    model, histories = recipe.fit(train), data.sample(1000)
    streams = [[items.tolist(), [0] * len(items)] for items in each(histories)]
    singles = [histories.take(np.array([q])) for q in range(len(histories))]
    model.weights(histories, 20, exclude_seen=False)
    theirs, ours, together = timed(
        repeats,
        lambda: [package.recommend(stream) for stream in streams],
        lambda: [model.recommend(single, 20, exclude_seen=False) for single in singles],
        lambda: model.recommend(histories, 20, exclude_seen=False),
    )
    _, weights = model.weights(histories, 20, exclude_seen=False)
    equal = 0
    for q, stream in enumerate(streams):
        want = np.array([weight for _, weight in package.recommend(stream) or []])
        equal += bool(np.allclose(weights[q][: len(want)], want, rtol=1e-9, atol=0))
    milliseconds = [1000 * seconds / len(histories) for seconds in (theirs, ours, together)]
    print(
        f"  wsknn    package {milliseconds[0]:.2f} ms a history; here {milliseconds[1]:.3f} one at a time "
        f"({theirs / ours:.0f} times), {milliseconds[2]:.3f} in a batch ({theirs / together:.0f} times); "
        f"weights equal to 1e-9 in {equal} of {len(histories)} histories (ties apart)",
        flush=True,
    )


def against_a_product(data: Data, threads: int, repeats: int) -> None:
    nn, histories = 100, data.sample(1000)
    model: SessionKnnModel = SSCF(neighbours=nn).fit(data.train)
    model.neighbours(histories, nn)
    rows, queries = normalised(data.train), normalised(histories)

    def product() -> np.ndarray:
        best = []
        for start in range(0, len(histories), 100):  # 100 dense rows at a time: all would take 1.5 GB
            cosine = (queries[start : start + 100] @ rows.T).toarray()
            near = np.argpartition(-cosine, nn, axis=1)[:, :nn]
            best.append(np.take_along_axis(cosine, near, 1))
        return np.concatenate(best)

    theirs, ours = timed(repeats, product, lambda: model.neighbours(histories, nn))
    expected, similarities = np.sort(product(), axis=1)[:, ::-1], np.maximum(model.neighbours(histories, nn)[1], 0)
    worst = float(abs(expected - similarities).max())
    print(
        f"  article  product and argpartition {theirs:.2f} s; here {ours:.4f} s with one thread "
        f"({theirs / ours:.0f} times); "
        f"similarities differ by {worst:.0e} at most",
        flush=True,
    )


def normalised(sessions: Sessions) -> Any:
    """Play counts (S, n) with rows of length 1."""
    import scipy.sparse as sp

    matrix = sessions.matrix().astype(np.float64)
    lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1).A1)
    return (sp.diags(1 / np.maximum(lengths, 1e-300)) @ matrix).tocsr()


def each(sessions: Sessions) -> list[np.ndarray]:
    return [sessions[s] for s in range(len(sessions))]


def timed(repeats: int, *runs: Callable[[], object]) -> list[float]:
    """Median seconds of each program; runs alternate."""
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for seconds, run in zip(taken, runs, strict=True):
            started = perf_counter()
            run()
            seconds.append(perf_counter() - started)
    return [statistics.median(seconds) for seconds in taken]


PARTS: dict[str, Callable[[Data, int, int], None]] = {
    "batch": batch,
    "latency": latency,
    "memory": memory,
    "quality": quality,
    "wsknn": against_wsknn,
    "article": against_a_product,
}

if __name__ == "__main__":
    main()
