"""Simulated days: warm starts from day to day against full training.

usage: python scripts/bench/refresh.py days [--data DATA] [--data-sets nowplaying mpd] [--models word2vec mf two-tower]
       [--days 30] [--every 3] [--ahead 1] [--part 1] [--threads 1] [--seed 0] [--cache FOLDER] [--set KEY=VALUE]...

The first 60 % of the sessions, in order, train the first model. The others arrive as thirtieths, a day each: every day
the model of the day before is continued with the sessions of the day (`continuing(changes=True)`), and Recall@20 of the
next item is measured after every event of the sessions of the following day, 10,000 of them drawn at most. On every
`--every`th day a model is trained in full on the same sessions. Printed are, for these days, both recalls and the
processor seconds of both; for all days the median cosine of the vectors of items without events of the day, and of all
old items, with those of the day before, and the overlap of the 20 nearest of 500 items.

DATA contains `nowplaying` and `mpd/train`, `mpd/test`. [default: ../shared/data beside the repository]
--ahead  following days to measure on: more than one have less noise
--part   use only this first share of the sessions: .6 tunes on days that the figures do not contain
--cache  keeps the models of full training, which takes most of the time
--set    settings of the continuation
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np

from embedrec.config import build, parse_pairs, settings_of
from embedrec.data.filters import Filters
from embedrec.data.session_changes import session_changes
from embedrec.data.sessions import Sessions, sessionize
from embedrec.models import recipe_class
from embedrec.models.serialization import load_model, save_model
from embedrec.models.vector_model import VectorModel
from embedrec.readers.mpd import Mpd
from embedrec.readers.session_tables import SessionTables
from embedrec.storage import artifacts
from embedrec.tabular.read_settings import ReadSettings
from embedrec.vectors.exact_search import unit

ROOT = Path(__file__).resolve().parents[2]
FIRST, DAYS = 0.6, 30  # share of the first training; days of the others
CASES, ASKED, K = 10_000, 500, 20


@dataclass(frozen=True)
class World:
    """A data set cut into days.

    sessions  in order
    bounds    (31,) sessions up to the end of each day, from day 0
    repeats   whether lists contain items of the history
    """

    name: str
    sessions: Sessions
    bounds: np.ndarray
    repeats: bool

    def until(self, day: int) -> Sessions:
        """All sessions up to the end of a day."""
        return self.sessions.take(np.arange(self.bounds[day])).drop_unused_items()

    def of_days(self, first: int, last: int) -> Sessions:
        """The sessions of these days."""
        return self.sessions.take(np.arange(self.bounds[first - 1], self.bounds[min(last, DAYS)]))


def read(data: Path, name: str, part: float) -> World:
    """A data set with its days, or those of its first sessions."""
    if name == "nowplaying":
        sessions = sessionize(SessionTables().read([data / name / "train_sessions.parquet"], ReadSettings()))
    else:
        events = Mpd(level="artist").read([data / name / "train", data / name / "test"], ReadSettings())
        sessions = sessionize(Filters(duplicates="all").apply(events)[0])
    sessions = sessions.take(np.arange(round(part * len(sessions))))
    bounds = np.round(len(sessions) * (FIRST + (1 - FIRST) * np.arange(DAYS + 1) / DAYS)).astype(np.int64)
    return World(f"{name}-{part:g}", sessions, bounds, repeats=name == "nowplaying")


def recall(model: Any, world: World, after: Sessions, events: np.ndarray) -> float:
    """Recall@20 of these events (q,) of sessions, none the first of its session; unknown items count as missed."""
    rows = model.vocab.rows_of(after.vocab.ids)[after.items[events]]
    found = 0
    for start in range(0, len(events), 2000):
        chunk = events[start : start + 2000]
        histories = after.take(after.session_of[chunk], after.position_of[chunk])
        lists = model.recommend(histories, K, exclude_seen=not world.repeats).rows
        targets = rows[start : start + 2000]
        found += int((lists == np.where(targets < 0, -2, targets)[:, None]).any(axis=1).sum())
    return found / max(len(events), 1)


def recall_after(model: Any, world: World, day: int, ahead: int) -> float:
    """Recall@20 of the events of the sessions of the days after a day, 10,000 of them drawn at most."""
    after = world.of_days(day + 1, day + ahead)
    events = np.flatnonzero(after.position_of > 0)
    if len(events) > CASES:
        events = np.sort(np.random.default_rng(day).permutation(events)[:CASES])
    return recall(model, world, after, events)


def stability(old: VectorModel, new: VectorModel, changed: np.ndarray) -> dict[str, float]:
    """Median cosines and overlap of the 20 nearest of old items that `new` has.

    changed  ids of items with events of the day
    """
    rows = new.vocab.rows(old.vocab.ids)
    common = np.flatnonzero(rows >= 0)
    cosines = (unit(old.embeddings.vectors[common]) * unit(new.embeddings.vectors[rows[common]])).sum(axis=1)
    quiet = ~np.isin(old.vocab.ids[common], changed)
    asked = np.sort(np.random.default_rng(0).permutation(common)[:ASKED])
    before = old.neighbours(asked, K).ids()
    after = new.neighbours(rows[asked], K).ids()
    overlap = np.mean([len(set(a) & set(b)) / K for a, b in zip(before, after, strict=True)])
    values = {"cosine": np.median(cosines[quiet]), "cosine_all": np.median(cosines), "overlap": overlap}
    return {name: float(value) for name, value in values.items()}


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = process_time()
    result = work()
    return result, process_time() - started


def trained(world: World, name: str, day: int, given: argparse.Namespace, cache: Path) -> tuple[Any, float]:
    """A model trained in full on all sessions until a day, and its processor seconds; from the cache or trained."""
    place = cache / f"{world.name}-{name}-{day}-{given.seed}"
    if not place.exists():
        sessions = world.until(day)
        model, seconds = timed(lambda: recipe_class(name)().fit(sessions, seed=given.seed, threads=given.threads))
        save_model(model, place, {"processor_seconds": seconds})
    artifact = artifacts.read(place, "model")
    return load_model(artifact), artifact.about["processor_seconds"]


def continued(name: str, model: Any, pairs: list[str]) -> Any:
    """The settings of a continuation of a model."""
    settings = settings_of(model.recipe.continuing(changes=True))
    return build(recipe_class(name), {**settings, **parse_pairs(pairs)}, source="--set")


def simulate(world: World, name: str, given: argparse.Namespace, cache: Path) -> None:
    """The days of one model, printed as they pass."""
    model, _ = trained(world, name, 0, given, cache)
    warm_up = model.recipe.continuing(changes=True)  # compiles and loads what is compiled and loaded once
    few = Sessions.of_lists(np.random.default_rng(0).integers(0, 500, (400, 5)).tolist())
    changes = session_changes(few.take(np.arange(300)), few)
    warm_up.fit(few, init=warm_up.fit(few), changes=changes, threads=given.threads)
    print(
        f"\n{world.name}, {name}\n day   full     warm     ratio  seconds   of full  cosine   all    overlap",
        flush=True,
    )
    rows, before = [], world.until(0)
    for day in range(1, given.days + 1):
        sessions = world.until(day)
        recipe = continued(name, model, given.pairs)

        def refresh(model: Any = model, recipe: Any = recipe, old: Sessions = before, new: Sessions = sessions) -> Any:
            return recipe.fit(
                new, seed=given.seed, threads=given.threads, init=model, changes=session_changes(old, new)
            )

        after, seconds = timed(refresh)
        events = world.of_days(day, day).items
        row = {"seconds": seconds, **stability(model, after, world.sessions.vocab.ids[np.unique(events)])}
        if day < DAYS and day % given.every == 0:
            whole, spent = trained(world, name, day, given, cache)
            row |= {key: recall_after(m, world, day, given.ahead) for key, m in (("full", whole), ("warm", after))}
            row |= {"ratio": row["warm"] / row["full"], "cost": seconds / spent}
        shown = [
            f"{row[key]:{form}}" if key in row else " " * 8
            for key, form in (("full", "8.4f"), ("warm", "8.4f"), ("ratio", "8.3f"), ("seconds", "8.1f"),
                              ("cost", "8.3f"), ("cosine", "8.3f"), ("cosine_all", "8.3f"), ("overlap", "8.3f"))
        ]  # fmt: skip
        print(f"{day:>4} {' '.join(shown)}", flush=True)
        rows.append(row)
        model, before = after, sessions
    print(summary(rows), flush=True)


def summary(rows: list[dict[str, float]]) -> str:
    """The figures of the table, of all days."""

    def values(key: str) -> np.ndarray:
        return np.array([row[key] for row in rows if key in row])

    if not len(values("ratio")):
        return "no day was compared"
    ratio, cost = values("ratio"), values("cost")
    return (
        f"of full training: {ratio.mean():.3f} on average (bar .99), {ratio.min():.3f} on the worst day (.97), cost "
        f"{cost.mean():.3f} (.15), worst {cost.max():.3f}; median cosine {values('cosine').mean():.3f} (.98), worst "
        f"{values('cosine').min():.3f}; overlap {values('overlap').mean():.3f} (.8), worst "
        f"{values('overlap').min():.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--data-sets", nargs="+", default=["nowplaying", "mpd"])
    parser.add_argument("--models", nargs="+", default=["word2vec", "mf", "two-tower"])
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--ahead", type=int, default=1)
    parser.add_argument("--part", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--set", dest="pairs", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        cache = given.cache or Path(folder)
        cache.mkdir(parents=True, exist_ok=True)
        for name in given.data_sets:
            world = read(given.data, name, given.part)
            for model in given.models:
                simulate(world, model, given, cache)


if __name__ == "__main__":
    main()
