"""New items solved against frozen vectors, compared with a full training.

usage: python scripts/bench/refresh.py frozen [--data DATA] [--data-sets nowplaying mpd] [--models word2vec mf]
       [--days 7 19] [--part 1] [--threads 1] [--seed 0] [--cache FOLDER]

The days are those of `refresh.py days`. On each of `--days`, a model of the day before, trained in full, is extended
with `extend_frozen`, and another is trained in full on the same sessions. Compared are the items that the model of the
day before lacks, by the sessions of all days after:

similar   mean share of the 20 nearest items of a new item that stand in the same later session (P@20), over its later
          mentions in sessions of five or more
genre     mpd only: mean share of its 10 nearest that share a genre with it, artists without a genre left out
next      Recall@20 of the item after a new one, given the session up to there
found     Recall@20 of new items, given the session before them

Each is the mean over the cases of all days. Printed are those of frozen and of full training, their quotient, and the
standard error of the difference as a share of full training. Processor seconds of both are of all days.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from refresh_days import DAYS, ROOT, K, World, read, timed, trained

from embedrec.data.sessions import Sessions
from embedrec.models.frozen import extend_frozen
from embedrec.models.vector_model import VectorModel

GENRES, LEAST, NEAR = 10, 5, 0.97  # neighbours whose genres count; shortest session of `similar`; the bar


def hits(model: VectorModel, after: Sessions, events: np.ndarray, *, repeats: bool) -> np.ndarray:
    """Whether each event (q,) is among the 20 recommended after those before it in its session: (q,) float."""
    rows = model.vocab.rows_of(after.vocab.ids)[after.items[events]]
    lists = [np.zeros((0, K), dtype=np.int64)]
    for start in range(0, len(events), 2000):
        chunk = events[start : start + 2000]
        histories = after.take(after.session_of[chunk], after.position_of[chunk])
        lists.append(model.recommend(histories, K, exclude_seen=not repeats).rows)
    return (np.concatenate(lists) == np.where(rows < 0, -2, rows)[:, None]).any(axis=1).astype(float)


def together(model: VectorModel, after: Sessions, events: np.ndarray) -> np.ndarray:
    """The share of the 20 nearest of each event's item that stand in its session: (q,)."""
    rows = model.vocab.rows_of(after.vocab.ids)
    asked, place = np.unique(after.items[events], return_inverse=True)
    near = model.neighbours(rows[asked], K).rows
    sessions = [set(rows[after.items[after.offsets[s] : after.offsets[s + 1]]].tolist()) for s in range(len(after))]
    shares = [
        sum(row in sessions[session] for row in near[at].tolist() if row >= 0) / K
        for at, session in zip(place, after.session_of[events], strict=True)
    ]
    return np.array(shares)


def same_genre(model: VectorModel, items: np.ndarray, genres: dict[str, set[str]]) -> np.ndarray:
    """The share of the 10 nearest of each item, given by id, with one of its genres: (items with a genre,)."""
    own = [item for item in items if genres.get(item)]
    if not own:
        return np.zeros(0)
    known = np.array([bool(genres.get(name)) for name in model.vocab.ids])
    near = model.neighbours(model.vocab.rows(np.array(own)), GENRES, allowed=known).ids()
    return np.array(
        [np.mean([bool(genres[item] & genres[other]) for other in row]) for item, row in zip(own, near, strict=True)]
    )


def read_genres(data: Path, world: World) -> dict[str, set[str]]:
    """The genres of each artist id of mpd; nothing for other data."""
    names = world.sessions.vocab.names
    if names is None or not world.name.startswith("mpd"):
        return {}
    table = pq.read_table(data / "artist_genres.parquet").to_pydict()
    columns = list(table)
    by_name = dict(zip(table[columns[0]], table[columns[1]], strict=True))
    ids = world.sessions.vocab.ids
    return {item: set(by_name.get(name) or ()) for item, name in zip(ids.tolist(), names.tolist(), strict=True)}


def figures(model: VectorModel, world: World, day: int, new: np.ndarray, genres: dict) -> dict[str, np.ndarray]:
    """The cases of each figure for new items (m,), given by their ids."""
    after = world.of_days(day + 1, DAYS)
    is_new = np.isin(after.vocab.ids, new)[after.items]
    targets = np.flatnonzero(is_new & (after.position_of > 0))
    mentions = np.flatnonzero(is_new & (after.lengths[after.session_of] >= LEAST))
    last = np.flatnonzero(is_new[:-1] & (after.position_of[1:] > 0)) + 1
    return {
        "similar": together(model, after, mentions),
        "genre": same_genre(model, new, genres),
        "next": hits(model, after, last, repeats=world.repeats),
        "found": hits(model, after, targets, repeats=world.repeats),
    }


def compare(world: World, name: str, given: argparse.Namespace, cache: Path) -> bool:
    """The days of one model, printed; whether similar and next items are near those of full training."""
    genres = read_genres(given.data, world)
    sides: dict[str, list[dict[str, np.ndarray]]] = {"frozen": [], "full": []}
    used, spent, items = 0.0, 0.0, 0
    for day in given.days:
        old, _ = trained(world, name, day - 1, given, cache)
        full, all_of_it = trained(world, name, day, given, cache)
        sessions = world.until(day)

        def extend(old: Any = old, sessions: Sessions = sessions) -> Any:
            return extend_frozen(old, sessions, seed=given.seed, threads=given.threads)

        frozen, little = timed(extend)
        new = full.vocab.ids[old.vocab.rows(full.vocab.ids) < 0]
        items, used, spent = items + len(new), used + little, spent + all_of_it
        for side, model in (("frozen", frozen), ("full", full)):
            sides[side].append(figures(model, world, day, new, genres))
    print(f"\n{world.name}, {name}: {items} new items on {len(given.days)} days, {used:.1f} s against {spent:.1f}")
    print(f"{'':<8}{'cases':>7}{'frozen':>9}{'full':>9}{'quotient':>10}{'error':>8}")
    met = True
    for figure in sides["full"][0]:
        mine, whole = (np.concatenate([one[figure] for one in sides[side]]) for side in ("frozen", "full"))
        if len(whole):
            mean = max(whole.mean(), 1e-12)
            quotient, error = mine.mean() / mean, (mine - whole).std() / len(whole) ** 0.5 / mean
            met &= quotient >= NEAR or figure == "found"
            print(
                f"{figure:<8}{len(whole):>7}{mine.mean():>9.4f}{mean:>9.4f}{quotient:>10.3f}{error:>8.3f}", flush=True
            )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--data-sets", nargs="+", default=["nowplaying", "mpd"])
    parser.add_argument("--models", nargs="+", default=["word2vec", "mf"])
    parser.add_argument("--days", type=int, nargs="+", default=[7, 19])
    parser.add_argument("--part", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    met = []
    with TemporaryDirectory() as folder:
        cache = given.cache or Path(folder)
        cache.mkdir(parents=True, exist_ok=True)
        for name in given.data_sets:
            world = read(given.data, name, given.part)
            met += [compare(world, model, given, cache) for model in given.models]
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
