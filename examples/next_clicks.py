"""Next clicks in a shop: read a click log, compare four models on the last visits, answer for visits that still go on.

usage: python examples/next_clicks.py [FOLDER]

The log is invented and written to FOLDER/clicks.csv, see `embedrec.datasets.synthetic`. The tutorial of the same name
explains the steps.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.csv

from embedrec import VSKNN, AssociationRules, Popular, SequentialRules, Sessions
from embedrec.datasets.synthetic import make_world, write_shop
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.splitting.rules import Time
from embedrec.splitting.test_cases import next_items


def main(folder: str = "shop") -> None:
    """Print the recall and mean reciprocal rank of each model, and the next products after two histories."""
    clicks, _ = write_shop(make_world(seed=0, genres=8, artists_per_genre=12, playlists=2000), Path(folder))
    frame = pyarrow.csv.read_csv(clicks)  # or a frame of pandas, polars or DuckDB
    sessions = Sessions.from_frame(frame, session="visit", item="sku", time="time", kind="kind", kinds=("view",))

    train, test = Time(share=0.1).split(sessions)
    test_cases = next_items(test)  # every prefix of every held-out visit, and the click after it
    recall = {}
    for recipe in (VSKNN(), SequentialRules(), AssociationRules(), Popular()):
        result = evaluate(recipe.fit(train, seed=0), test_cases, train, EvaluationSettings(at=(20,)))
        recall[recipe] = result.metrics["recall@20"]
        print(f"{recipe.name:8} recall@20 {recall[recipe]:.3f}  MRR@20 {result.metrics['mrr@20']:.3f}")

    best = max(recall, key=lambda recipe: recall[recipe])
    model = best.fit(sessions, seed=0)  # on all visits
    visits = [["R0001", "R0002"], ["R0120"]]  # oldest click first
    for visit, ids in zip(visits, model.recommend(Sessions.of_lists(visits, model.vocab), 5).ids(), strict=True):
        print(*visit, "→", *ids)


if __name__ == "__main__":
    main(*sys.argv[1:])
