"""Similar artists from playlists: compare three models on held-out playlists, and write the lists of the best one.

usage: python examples/similar_artists.py [FILE]

The playlists are invented, see `embedrec.datasets.synthetic`. The tutorial of the same name explains the steps.
"""

from __future__ import annotations

import sys
from pathlib import Path

from embedrec import Cooccurrence, Popular, Sessions, Word2Vec, write_similarity
from embedrec.datasets.synthetic import World, make_world
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.evaluation.item_similarity import evaluate_similar
from embedrec.splitting.rules import Random
from embedrec.splitting.test_cases import cooccurring_items


def sessions_of(world: World) -> Sessions:
    """A session a playlist, with each of its artists once, by uri."""
    return Sessions.of_lists(list(dict.fromkeys(artist.uri for artist, _ in p.tracks)) for p in world.playlists)


def main(file: str = "similar.txt") -> None:
    """Print the recall of each model, and the neighbours of three artists; write those of all artists to `file`."""
    world = make_world(seed=0)
    artist = {a.uri: a for a in world.artists}
    sessions = sessions_of(world)
    split = Random(share=0.1).split(sessions, seed=0)
    test_cases = cooccurring_items(split.test, split.train.vocab)

    recall = {}
    for recipe in (Word2Vec(), Cooccurrence(), Popular()):
        model = recipe.fit(split.train, seed=0)
        result = evaluate_similar(model, test_cases, split.train, EvaluationSettings(at=(20,), exclude_seen=True))
        low, high = result.intervals["recall@20"]
        recall[recipe] = result.metrics["recall@20"]
        print(f"{recipe.name:13} recall@20 {recall[recipe]:.3f} ({low:.3f} to {high:.3f})")

    best = max(recall, key=lambda recipe: recall[recipe])
    model = best.fit(sessions, seed=0)  # on all playlists
    seeds = [world.artists[row].uri for row in (0, 30, 60)]  # the most frequent artists of three genres
    for seed, similar in zip(seeds, model.neighbours(model.vocab.rows(seeds), 5).ids(), strict=True):
        print(f"{artist[seed].name} [{artist[seed].genre}]")
        for uri in similar:
            print(f"  {artist[uri].name} [{artist[uri].genre}]")
    with Path(file).open("w", encoding="utf-8") as out:
        print(write_similarity(model, out), "lines in", file)


if __name__ == "__main__":
    main(*sys.argv[1:])
