"""Seconds an epoch of sasrec and of RecTools' SASRec on Diginetica, at the same size, loss and number of negatives.

usage: python scripts/bench/sasrec.py [DATA] [--steps 12] [--share 1] [--threads 2]

It needs the packages rectools and pytorch-lightning.

Both have two blocks of two heads and 128 numbers and a window of 20 items; RecTools' feed-forward layer has one unit a
number and ours is set to that. RecTools draws negatives for every position, ours are shared by the batch. RecTools runs
--steps batches, from which the epoch is extrapolated; the first two are left out. Ours runs a whole epoch. Both use the
first --share of the sessions.
[default of DATA: ../shared/data/diginetica beside the repository]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.transformer.recipe import SASRec

DIM, HISTORY, BATCH = 128, 20, 128  # sessions of RecTools' batch
LOSSES = {"sampled_softmax": ("softmax", 256), "gBCE": ("gbce", 256)}  # RecTools' name, ours, negatives


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("data", nargs="?", type=Path, default=root.parent / "shared" / "data" / "diginetica")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    events = pd.read_parquet(given.data / "train_sessions.parquet")
    events = events[events["session"] < given.share * events["session"].nunique()]
    for name, (loss, negatives) in LOSSES.items():
        ours = seconds_of_sasrec(events, loss, negatives, given.threads)
        theirs = seconds_of_rectools(events, name, negatives, given.steps)
        print(f"{name}, {negatives} negatives, {given.threads} threads: sasrec {ours:.0f} s an epoch, "
              f"RecTools {theirs:.0f} s: {theirs / ours:.1f} times", flush=True)  # fmt: skip


def seconds_of_sasrec(events: pd.DataFrame, loss: Any, negatives: int, threads: int) -> float:
    """The seconds of the first epoch."""
    starts = np.flatnonzero(events["pos"].to_numpy() == 0)
    ids, rows = np.unique(events["item"], return_inverse=True)
    sessions = Sessions(np.append(starts, len(events)), rows, Vocab(ids.astype(np.int64)), np.arange(len(starts)))
    recipe = SASRec(
        dim=DIM, blocks=2, hidden=DIM, history=HISTORY, loss=loss, negatives=negatives, epochs=1, patience=None
    )
    seconds: list[float] = []

    def report(event: str, **numbers: Any) -> None:
        if event == "epoch":
            seconds.append(numbers["seconds"])

    recipe.fit(sessions, seed=0, threads=threads, report=report)
    return seconds[0]


def seconds_of_rectools(events: pd.DataFrame, loss: str, negatives: int, steps: int) -> float:
    """The seconds of an epoch, extrapolated from some batches."""
    from pytorch_lightning import Callback, Trainer
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    times: list[float] = []

    class Clock(Callback):
        def on_train_batch_end(self, *_: Any, **__: Any) -> None:
            times.append(perf_counter())

    def trainer(**_: Any) -> Trainer:
        return Trainer(max_epochs=1, limit_train_batches=steps, accelerator="cpu", logger=False, callbacks=[Clock()],
                       enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)  # fmt: skip

    table = pd.DataFrame({Columns.User: events["session"], Columns.Item: events["item"], Columns.Weight: 1.0,
                          Columns.Datetime: pd.to_datetime(events["pos"], unit="s")})  # fmt: skip
    model = SASRecModel(n_factors=DIM, n_blocks=2, n_heads=2, session_max_len=HISTORY, batch_size=BATCH, loss=loss,
                        n_negatives=negatives, get_trainer_func=trainer)  # fmt: skip
    model.fit(Dataset.construct(table))
    return float(np.mean(np.diff(times)[1:])) * events["session"].nunique() / BATCH


if __name__ == "__main__":
    main()
