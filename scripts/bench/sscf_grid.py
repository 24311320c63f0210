"""The grid of SSCF on all sub-sessions: one pass against the code of the article on session-based kNN in Python.

usage: python scripts/bench/sscf_grid.py [DATA] [--data-set nowplaying] [--threads 2] [--sample 200] [--repeats 3]

DATA/NAME contains train_sessions.parquet and test_prefixes.parquet. [default: ../shared/data beside the repository]

  sample  N test cases with both: seconds, and the differences of the 35 cells of hit rate and MRR
  all     all test prefixes in one pass: seconds, the best cells, and the gain of more neighbours

The article's code: a block of test rows against all training rows by scipy's product of play counts, then for every
number of neighbours a partition of the dense cosines, and dense scores by a product with the rows of the neighbours.
Here the product is computed once for all numbers of neighbours, in the article once for each. Among equally similar
rows it uses the later ones, as embedrec does; both compare similarities to 40 bits and scores as float32, and a target
counts as the last of the items of equal score. It uses one core, so the pass is also timed with one thread.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions, sessionize
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.evaluation.neighbour_grid import LIST_LENGTHS, NEIGHBOURS, Grid, evaluate_grid
from embedrec.kernels.session_formulas import round_sum
from embedrec.models.session_knn.variants import SSCF
from embedrec.readers import reader
from embedrec.splitting.subsessions import sub_sessions
from embedrec.splitting.test_cases import TestCases, next_items
from embedrec.tabular.read_settings import ReadSettings

ROOT = Path(__file__).resolve().parents[2]
TERMS = EvaluationSettings(LIST_LENGTHS, exclude_seen=False, ties="conservative", draws=0)
BLOCK = 20  # dense rows of cosines at a time
SHOWN = LIST_LENGTHS.index(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--data-set", default="nowplaying")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    folder = given.data / given.data_set
    read = reader("sessions")()
    train = sessionize(read.read([folder / "train_sessions.parquet"], ReadSettings()))
    test = read.read_test(folder / "test_prefixes.parquet", ReadSettings())
    questions = next_items(test).reindex(train.vocab)
    rows, expanding = timed(lambda: sub_sessions(train))
    model, fitting = timed(lambda: SSCF().fit(rows))
    print(
        f"{given.data_set}: {len(train):,} sessions of {len(train.items):,} events became {len(rows):,} rows of "
        f"{len(rows.items):,} events, {len(rows.vocab):,} items, in {expanding:.2f} s; indexed in {fitting:.2f} s"
    )
    drawn = np.zeros(len(questions), dtype=bool)
    drawn[np.random.default_rng(0).permutation(len(questions))[: given.sample]] = True
    sample = questions.filter(drawn)
    evaluate_grid(model, sample, rows, TERMS)  # compiles
    runs = [timed(lambda: evaluate_grid(model, sample, rows, TERMS)) for _ in range(given.repeats)]
    ours, seconds = runs[0][0], statistics.median(taken for _, taken in runs)
    (hit_rate, mrr), theirs = timed(lambda: dense_product(rows, sample))
    apart = max(abs(hit_rate - ours.hit_rate).max(), abs(mrr - ours.mrr).max())
    print(
        f"  sample  {given.sample} questions: product and partition {theirs:.1f} s; one pass {seconds:.4f} s with one "
        f"thread ({theirs / seconds:,.0f} times); cells differ by {apart:.0e} at most"
    )
    grid, taken = timed(lambda: evaluate_grid(model.with_threads(given.threads), questions, rows, TERMS))
    print(
        f"  all     {grid.test_case_count:,} × {len(NEIGHBOURS)} × {len(LIST_LENGTHS)} cells: {taken:.1f} s with "
        f"{given.threads} threads; the article's code would take {theirs / given.sample * len(questions) / 3600:.1f} h "
        "of one core"
    )
    print_best(grid)


def print_best(grid: Grid) -> None:
    """The best cells, and the gain of each step of neighbours."""
    for name, values in (("hit rate", grid.hit_rate), ("MRR", grid.mrr)):
        best = grid.neighbours[int(values[:, SHOWN].argmax())]
        figures = "  ".join(f"{n}: {v:.4f}" for n, v in zip(grid.neighbours, values[:, SHOWN], strict=True))
        last = grid.neighbours[int(np.flatnonzero(np.diff(values[:, SHOWN]) > 0.001).max(initial=-1)) + 1]
        print(f"  {name + '@20':<12}{figures}; best with {best}; no step beyond {last} gains more than .001")
    g, a = np.unravel_index(int(grid.hit_rate.argmax()), grid.hit_rate.shape)
    print(f"  best cell   {grid.neighbours[g]} neighbours, lists of {grid.at[a]}: hit rate {grid.hit_rate[g, a]:.4f}")


def dense_product(rows: Sessions, questions: TestCases) -> tuple[np.ndarray, np.ndarray]:
    """Hit rate and MRR of every cell by the article's code, (g, a) each."""
    counts, queries = (s.matrix().astype(np.float64) for s in (rows, questions.histories(0, len(questions))))
    norms, lengths = (np.sqrt(m.multiply(m).sum(axis=1).A1) for m in (counts, queries))
    means, own = (m.sum(axis=1).A1 / m.shape[1] for m in (counts, queries))
    columns = counts.T.tocsr()
    ranks = np.full((len(questions), len(NEIGHBOURS)), np.inf)
    for start in range(0, len(questions), BLOCK):
        products = queries[start : start + BLOCK] @ columns
        for q, row in enumerate(products.toarray(), start):
            target = questions.targets[q]
            if target < 0 or not lengths[q]:
                continue
            cosine = round_sum.py_func(row / (lengths[q] * norms))
            for g, count in enumerate(NEIGHBOURS):
                near = nearest(cosine, count)
                similarity = row[near] / (lengths[q] * norms[near])
                scores = own[q] + (similarity @ counts[near] - similarity @ means[near]) / similarity.sum()
                compared = scores.astype(np.float32)
                ranks[q, g] = (compared >= compared[target]).sum()
    hits = ranks[:, :, None] <= np.array(LIST_LENGTHS)
    return hits.mean(axis=0), np.where(hits, 1 / ranks[:, :, None], 0).mean(axis=0)


def nearest(cosine: np.ndarray, count: int) -> np.ndarray:
    """The rows of the largest cosines (S,) above 0, ties by later row."""
    # of the negated ones: from above, NumPy takes twenty times as long where most are 0
    least = max(-float(np.partition(-cosine, count - 1)[count - 1]), 1e-300)
    above, level = np.flatnonzero(cosine > least), np.flatnonzero(cosine == least)
    return np.concatenate([above, level[max(0, len(level) - (count - len(above))) :]])


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a function, and its seconds."""
    started = perf_counter()
    return run(), perf_counter() - started


if __name__ == "__main__":
    main()
