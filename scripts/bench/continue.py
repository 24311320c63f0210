"""Warm start of word2vec on few new sessions: quality by number of epochs and learning rate.

usage: python scripts/bench/continue.py [DATA] [--share .05] [--threads 2] [--epochs 1 2 4] [--alphas .005 .01]

DATA contains `mpd/train`. [default: ../shared/data beside the repository]

A tenth of the playlists is held out. A model is trained on the others except a share, and then continued on that share,
which also contains new items. Each line shows, for one setting, the share of an artist's 20 nearest artists that are in
the same held-out playlist (P@20), the same for artists that only the new playlists contain often enough, and the share
of unchanged 10 nearest neighbours of old items. The first line is the model before the warm start, the last one a model
trained on all playlists.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from embedrec.data.filters import Filters
from embedrec.data.sessions import Sessions, sessionize
from embedrec.models.vector_model import VectorModel
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.readers.mpd import Mpd
from embedrec.tabular.read_settings import ReadSettings

ROOT = Path(__file__).resolve().parents[2]


def precision(model: VectorModel, test: Sessions, asked: np.ndarray) -> float:
    """The share of an item's 20 nearest that stand in the same held-out session, mean over its mentions in sessions of
    five or more; asked, (n,) bool over the sessions' vocabulary, chooses the items."""
    rows = model.vocab.rows(test.vocab.ids)
    query = np.flatnonzero(asked[test.items] & (rows[test.items] >= 0) & (test.lengths[test.session_of] >= 5))
    if not len(query):
        return float("nan")
    distinct, place = np.unique(rows[test.items[query]], return_inverse=True)
    near = model.neighbours(distinct, 20).rows[place]  # (m, 20)
    held = np.zeros((len(test), len(model.vocab)), dtype=bool)
    known = rows[test.items] >= 0
    held[test.session_of[known], rows[test.items[known]]] = True
    return float(held[test.session_of[query][:, None], near].mean())


def kept(old: VectorModel, new: VectorModel, k: int = 10) -> float:
    """The share of the k nearest of 2,000 old items that are among the k nearest afterwards, of old items only."""
    asked = np.random.default_rng(0).permutation(len(old.vocab))[:2000]
    allowed = np.arange(len(new.vocab)) < len(old.vocab)
    before = old.neighbours(asked, k).rows
    after = new.neighbours(asked, k, allowed=allowed).rows
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(before.tolist(), after.tolist(), strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=ROOT.parent / "shared" / "data")
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2, 4, 30])
    parser.add_argument("--alphas", type=float, nargs="+", default=[0.0025, 0.005, 0.01, 0.05])
    given = parser.parse_args()
    events = Mpd(level="artist").read([given.data / "mpd" / "train"], ReadSettings())
    sessions = sessionize(Filters(duplicates="all").apply(events)[0])
    order = np.random.default_rng(7).permutation(len(sessions))
    held, new = len(sessions) // 10, int(given.share * len(sessions))
    test, later, first = (sessions.take(np.sort(part)) for part in np.split(order, [held, held + new]))
    before = Word2Vec().fit(first.drop_unused_items(), seed=1, threads=given.threads)
    fresh = np.bincount(later.items, minlength=len(sessions.vocab)) >= Word2Vec().min_count
    fresh &= before.vocab.rows(sessions.vocab.ids) < 0

    def line(name: str, model: VectorModel) -> None:
        figures = precision(model, test, ~fresh), precision(model, test, fresh), kept(before, model)
        print(f"{name:<28}{figures[0]:>10.4f}{figures[1]:>12.4f}{figures[2]:>10.3f}", flush=True)

    print(f"{len(first)} sessions, then {len(later)} more; {len(test)} held out; {int(fresh.sum())} new items")
    print(f"{'':<28}{'P@20':>10}{'P@20, new':>12}{'kept@10':>10}")
    line("before", before)
    for epochs in given.epochs:
        for alpha in given.alphas:
            recipe = replace(before.recipe, epochs=epochs, alpha=alpha)
            model = recipe.fit(later.drop_unused_items(), seed=2, threads=given.threads, init=before)
            line(f"epochs={epochs} alpha={alpha:g}", model)
    whole = sessions.take(np.sort(order[held:])).drop_unused_items()
    line("trained on everything", Word2Vec().fit(whole, seed=1, threads=given.threads))


if __name__ == "__main__":
    main()
