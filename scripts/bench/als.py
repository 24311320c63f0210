"""ALS against implicit: seconds per iteration and the objective after each iteration, in alternating runs.

usage: pip install implicit==0.7.3; python scripts/bench/als.py [DATA] [--dims 64 128] [--iterations 5] [--repeats 3]

DATA contains `mpd/train`; items are its tracks, rows its playlists. [default: ../shared/data beside the repository]

Both factorise the same matrix from the same initial vectors with the same number of threads, and one function computes
both objectives. With u the weight of an unobserved pair, implicit with confidence 1 + 1/u and (1 + u)/u times the
regularisation minimises the same objective, with vectors √(1 + u) times as long. BLAS uses one thread, as implicit
recommends, because both libraries have their own threads. Seconds are those of whole iterations, without transposing
the matrix, evaluation and compilation.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from embedrec.data.sessions import sessionize
from embedrec.models.factorization.least_squares import Objective, Side, cells
from embedrec.readers import reader
from embedrec.tabular.read_settings import ReadSettings

ROOT = Path(__file__).resolve().parents[2]
STEPS = 3  # of conjugate gradient, as implicit has it

Iterations = list[tuple[float, float]]  # seconds, and the objective after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--dims", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--unobserved", type=float, default=5.0, help="weight of all pairs, relative to the observed")
    parser.add_argument("--regularisation", type=float, default=1.0)
    given = parser.parse_args()
    playlists = sessionize(reader("mpd")(level="track").read([given.data / "mpd" / "train"], ReadSettings()))
    matrix = cells(playlists, "once")
    unobserved = given.unobserved * matrix.nnz / (matrix.shape[0] * matrix.shape[1])
    objective = Objective(unobserved, given.regularisation, nu=0.0)
    size = f"{matrix.shape[0]:,} playlists, {matrix.shape[1]:,} tracks, {matrix.nnz:,} cells"
    print(f"{size}, {given.threads} threads, {STEPS} steps of conjugate gradient; medians over {given.repeats} runs")
    evaluated_models: dict[str, Callable[..., Iterations]] = {"embedrec": ours, "implicit": theirs}
    with threadpool_limits(1, "blas"):
        ours(matrix, objective, start(matrix, 16), 1, given.threads)  # compiles
        for dim in given.dims:
            runs: dict[str, list[Iterations]] = {name: [] for name in evaluated_models}
            for _ in range(given.repeats):
                for name, run in evaluated_models.items():
                    runs[name].append(run(matrix, objective, start(matrix, dim), given.iterations, given.threads))
            tell(dim, runs)


def start(matrix: Any, dim: int) -> np.ndarray:
    """Initial item vectors (n, d); those of the playlists are zeros."""
    return np.random.default_rng(0).normal(0, 0.1 / dim**0.5, (matrix.shape[1], dim)).astype(np.float32)


def ours(matrix: Any, objective: Objective, vectors: np.ndarray, iterations: int, threads: int) -> Iterations:
    rows = Side(objective, matrix, np.zeros((matrix.shape[0], vectors.shape[1]), dtype=np.float32))
    items = Side(objective, matrix.T.tocsr(), vectors)
    done: Iterations = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(iterations):
            started = perf_counter()
            for side, other in ((rows, items), (items, rows)):
                sum(float(minima.sum()) for _, minima in side.solve(other, STEPS, pool))
            seconds = perf_counter() - started
            done.append((seconds, value(matrix, objective, rows.vectors, items.vectors)))
    return done


def theirs(matrix: Any, objective: Objective, vectors: np.ndarray, iterations: int, threads: int) -> Iterations:
    u = objective.unobserved
    scale = np.float32((1 + u) ** 0.5)
    model = AlternatingLeastSquares(
        factors=vectors.shape[1], regularization=objective.regularisation * (1 + u) / u, iterations=iterations,
        num_threads=threads,
    )  # fmt: skip
    model.user_factors = np.zeros((matrix.shape[0], vectors.shape[1]), dtype=np.float32)
    model.item_factors = vectors * scale
    confidence = matrix.copy()
    confidence.data[:] = 1 + 1 / u
    done: Iterations = []

    def after(iteration: int, seconds: float, loss: object) -> None:
        done.append((seconds, value(matrix, objective, model.user_factors / scale, model.item_factors / scale)))

    model.fit(confidence, show_progress=False, callback=after)
    return done


def value(matrix: Any, objective: Objective, x: np.ndarray, y: np.ndarray) -> float:
    """The objective, with the same ridge for all rows, in double precision."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    wrong = 0.0
    for first in range(0, len(x), 500):
        block = matrix[first : first + 500].tocoo()
        products = np.einsum("ij,ij->i", x[first + block.row], y[block.col])
        wrong += float(((1 - products) ** 2).sum())
    everything = float(((x.T @ x) * (y.T @ y)).sum())
    return wrong + objective.unobserved * everything + objective.regularisation * float((x**2).sum() + (y**2).sum())


def tell(dim: int, runs: dict[str, list[Iterations]]) -> None:
    seconds = {name: statistics.median(s for run in r for s, _ in run) for name, r in runs.items()}
    for name, found in runs.items():
        least = min(s for run in found for s, _ in run)
        values = ", ".join(f"{after:,.0f}" for _, after in found[0])
        print(f"  {dim:4} factors  {name:9} {seconds[name]:.3f} s an iteration (least {least:.3f}); objective {values}")
    lower = all(a <= b for (_, a), (_, b) in zip(runs["embedrec"][0], runs["implicit"][0], strict=True))
    print(f"  {dim:4} factors  {seconds['implicit'] / seconds['embedrec']:.1f} times as fast; objective "
          f"{'lower after every iteration' if lower else 'NOT lower after every iteration'}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
