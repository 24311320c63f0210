"""A day of counts, rules, session kNN and svd: the increment against a full fit.

usage: python scripts/bench/refresh.py increments [--data DATA] [--data-sets nowplaying mpd] [--models NAME...]
       [--threads 1] [--seed 0]

The day is the last thirtieth of the last 40 % of the sessions; the same number of the oldest sessions age out. Printed
are the processor seconds of the increment, for svd with the comparison of the sessions, and of the full fit; whether
every array has the same bytes, or, for svd, the residual ‖M·V − V·Λ‖ / ‖Λ‖ of the increment and of the full fit; and
the share of items whose list of neighbours or rules differs from that of the day before.

DATA contains `nowplaying` and `mpd/train`, `mpd/test`. [default: ../shared/data beside the repository]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import scipy.sparse as sp

from embedrec.data.filters import Filters
from embedrec.data.session_changes import session_changes
from embedrec.data.sessions import Sessions, sessionize
from embedrec.models import MODELS, recipe_class
from embedrec.models.base import ExactIncrement
from embedrec.models.pair_counts import PairCounting, one_mention
from embedrec.progress import quiet
from embedrec.readers.mpd import Mpd
from embedrec.readers.session_tables import SessionTables
from embedrec.tabular.read_settings import ReadSettings

ROOT = Path(__file__).resolve().parents[2]
DAY = 0.4 / 30  # share of the sessions
EXACT = [name for name in MODELS if issubclass(recipe_class(name), ExactIncrement)]


def two_days(data: Path, name: str) -> tuple[Sessions, Sessions]:
    """The sessions of two consecutive days, each with the items that occur."""
    if name == "nowplaying":
        whole = sessionize(SessionTables().read([data / name / "train_sessions.parquet"], ReadSettings()))
    else:
        events = Mpd(level="artist").read([data / name / "train", data / name / "test"], ReadSettings())
        whole = sessionize(Filters(duplicates="all").apply(events)[0])
    size, day = len(whole), round(DAY * len(whole))
    old, new = whole.take(np.arange(size - day)), whole.take(np.arange(day, size))
    return old.drop_unused_items(), new.drop_unused_items()


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the processor seconds."""
    started = process_time()
    result = work()
    return result, process_time() - started


def residual(model: Any, sessions: Sessions) -> float:
    """How far the vectors of an svd are from eigenvectors of its matrix."""
    rows = sessions.vocab.rows(model.vocab.ids)
    mentions, formula = model.recipe.pair_formula(one_mention(sessions, rows, model.recipe.window))
    pairs = PairCounting(mentions, formula, 1, quiet).all_pairs()
    lengths = pairs.ends - pairs.starts
    places = np.repeat(pairs.starts, lengths) + np.arange(lengths.sum())
    places -= np.repeat(np.cumsum(lengths) - lengths, lengths)
    entries = np.repeat(np.arange(len(rows)), lengths), pairs.rows[places]
    half = sp.csr_matrix((pairs.values[places].astype(np.float64), entries), (len(rows), len(rows)))
    vectors = model.arrays["items"] / np.maximum(np.linalg.norm(model.arrays["items"], axis=0), 1e-30)
    product = half @ vectors + half.T @ vectors
    values = (vectors * product).sum(axis=0)
    return float(np.linalg.norm(product - vectors * values) / np.linalg.norm(values))


def changed_lists(before: Any, after: Any) -> float:
    """The share of the items of both whose lists differ, in items or scores."""
    at = after.vocab.rows(before.vocab.ids)
    rows = np.flatnonzero(at >= 0)
    width = min(before.arrays["items"].shape[1], after.arrays["items"].shape[1])
    old, new = before.arrays["items"][rows, :width], after.arrays["items"][at[rows], :width]
    same = np.where(old >= 0, at[old], -1) == new
    same &= before.arrays["scores"][rows, :width] == after.arrays["scores"][at[rows], :width]
    return float(1 - same.all(axis=1).mean())


def compare(name: str, old: Sessions, new: Sessions, seed: int, threads: int) -> str:
    """The line of a model."""
    recipe = recipe_class(name)()
    few = old.take(np.arange(200)).drop_unused_items()
    recipe.fit(few, seed=seed, threads=threads)  # compiles
    before = recipe.fit(old, seed=seed, threads=threads)
    whole, full = timed(lambda: recipe.fit(new, seed=seed, threads=threads))
    changes, comparing = timed(lambda: session_changes(old, new))
    increment, seconds = timed(lambda: recipe.fit(new, seed=seed, threads=threads, init=before, changes=changes))
    equal = all(array.tobytes() == increment.arrays[key].tobytes() for key, array in whole.arrays.items())
    result = "equal" if equal else "DIFFERENT"
    if name == "svd":
        result = f"residual {residual(increment, new):.4f}, full {residual(whole, new):.4f}"
    if "scores" in whole.arrays:
        result += f", {changed_lists(before, whole):.3f} of the lists differ from the day before"
    seconds += 0 if name in EXACT else comparing  # commands do not compare sessions for these
    return f"{name:<14}{seconds:>9.2f} s{full:>9.2f} s   {result}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--data-sets", nargs="+", default=["nowplaying", "mpd"])
    parser.add_argument("--models", nargs="+", default=[*EXACT, "svd"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for data in given.data_sets:
        old, new = two_days(given.data, data)
        print(f"\n{data}: {len(new):,} sessions, {len(new.items):,} events\n{'':<14}  increment       full", flush=True)
        for model in given.models:
            print(compare(model, old, new, given.seed, given.threads), flush=True)


if __name__ == "__main__":
    main()
