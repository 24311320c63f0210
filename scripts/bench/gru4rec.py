"""GRU4Rec: how good after all prefixes of clicks and songs, how fast, and which inputs and losses go together.

usage: python scripts/bench/gru4rec.py [sessions] [losses] [--data diginetica nowplaying] [--folder DATA] [--epochs E]
                                       [--ratings FOLDER] [--threads 2] [--valid]

sessions  the next item after all prefixes of Diginetica and Nowplaying, all items ranked, with the settings below;
          seconds of an epoch, of answering all prefixes with 20 items, and of the whole evaluation
          [default of --folder: ../shared/data beside the repository]
losses    every input with every loss: the last film of everyone in MovieLens 100K, with few units and epochs; features
          are genres and years  [default of --ratings: the copy that `embedrec demo` keeps]
--valid   asks about the last sessions of the training part instead, of which nothing is trained on
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "diginetica": ("layers=256", "batch=128", "loss=bpr-max", "input=constrained", "embedding_dropout=.5",
                   "hidden_dropout=.3", "learning_rate=.05", "momentum=.15", "n_sample=2048", "sample_alpha=.3",
                   "elu=1", "bpreg=.9", "epochs=6"),
}  # fmt: skip
SETTINGS["nowplaying"] = (*SETTINGS["diginetica"], "embedding_dropout=.4", "hidden_dropout=.2", "epochs=5")
INPUTS = ("constrained", "embedding", "onehot", "content", "content-mlp")
LOSSES = ("cross-entropy", "bpr-max", "bpr")
BRIEF = ("layers=64", "batch=32", "n_sample=256", "epochs=5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["sessions", "losses"], default=[])
    parser.add_argument("--data", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--folder", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--ratings", type=Path, default=Path.home() / ".cache" / "embedrec" / "ml-100k")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--valid", action="store_true")
    given = parser.parse_args()
    parts = given.parts or ["sessions", "losses"]
    with tempfile.TemporaryDirectory() as folder:
        for name in given.data if "sessions" in parts else ():
            sessions(Path(folder) / name, given.folder / name, name, given)
        if "losses" in parts:
            losses(Path(folder) / "ml", given)


def sessions(workspace: Path, source: Path, name: str, given: argparse.Namespace) -> None:
    """One data set: training, all prefixes answered, and judged."""
    from embedrec.models.serialization import load_vector_model
    from embedrec.storage.workspace import Workspace
    from embedrec.workflows.evaluate import open_evaluation_task

    test = () if given.valid else ("--test", source / "test_prefixes.parquet")
    embedrec(workspace, "prepare", "sessions", source / "train_sessions.parquet", *test)
    if given.valid:  # the last twentieth of the training sessions, which stand in order of time
        embedrec(workspace, "split", "tail:share=.05", "--name", "valid")
    chosen = [*SETTINGS[name], *([f"epochs={given.epochs}"] if given.epochs else [])]
    settings = [word for pair in chosen for word in ("--set", pair)]
    embedrec(workspace, "train", "gru4rec", *settings, "--threads", given.threads)
    place = Workspace(workspace)
    trained = place.find("model", "gru4rec")
    epochs = [told["seconds"] for told in trained.about["epochs"]]
    model, questions = load_vector_model(trained), open_evaluation_task(place.find("sessions")).test_cases
    histories = questions.histories(0, len(questions)).reindex(model.vocab)
    started = perf_counter()
    model.searcher.search(model.encoder(histories), 20)
    answered = perf_counter() - started
    found = json.loads(embedrec(workspace, "evaluate", "gru4rec", "--json", "--draws", 0, "--ties", "standard"))
    print(
        f"{name}: recall@20 {found['recall@20']:.4f}  mrr@20 {found['mrr@20']:.4f}; an epoch {np.mean(epochs):.1f} s, "
        f"{len(histories):,} prefixes answered in {answered:.1f} s, judged in {found['seconds']:.1f} s",
        flush=True,
    )


def losses(workspace: Path, given: argparse.Namespace) -> None:
    """Recall@20 / MRR@20 of every input (rows) with every loss (columns)."""
    embedrec(workspace, "prepare", "movielens", given.ratings)
    print("| |" + "".join(f" {loss} |" for loss in LOSSES), flush=True)
    for name in INPUTS:
        cells = []
        for loss in LOSSES:
            more = [word for pair in (*BRIEF, f"input={name}", f"loss={loss}") for word in ("--set", pair)]
            found = evaluated(workspace, *more, "--split", "last-item", "--threads", given.threads)
            cells.append(f" {found['recall@20']:.4f}/{found['mrr@20']:.4f} |")
        print(f"| {name} |" + "".join(cells), flush=True)


def evaluated(workspace: Path, *arguments: object) -> dict[str, Any]:
    return json.loads(embedrec(workspace, "evaluate", "gru4rec", "--json", "--draws", 0, *arguments))


def embedrec(workspace: Path, *arguments: object) -> str:
    """What a command prints on stdout."""
    command = [sys.executable, "-m", "embedrec", *map(str, arguments), "--workspace", str(workspace)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
