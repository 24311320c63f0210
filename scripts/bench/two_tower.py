"""Two-tower networks: quality on MovieLens 100K and on two data sets of sessions, and speed against a plain loop.

usage: python scripts/bench/two_tower.py [movielens] [sessions] [speed] [--ratings FOLDER] [--data DATA] [--threads 2]

movielens  five seeds of USERS (settings below) on the last 20 % of events, of known users and films, ratings of 4 and 5
           as targets, seen films removed; and popularity for comparison
           [default of --ratings: the copy of MovieLens 100K that `embedrec demo` downloads]
sessions   the next item after all prefixes of Diginetica and Nowplaying, with the default settings except EPOCHS
           [default of --data: ../shared/data beside the repository]
speed      examples per second of the same network (users and films of 16 numbers, 10 negatives, binary cross-entropy,
           batches of 512 examples with their negatives) against a Dataset and a DataLoader in Python
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SPLIT = ("--split", "warm-time:share=.2,min_rating=4", "--at", 10, "--ties", "standard", "--seen", "remove")
SHOWN = ("hit_rate@10", "ndcg@10", "coverage@10")
SEEDS = 5
EPOCHS = {"diginetica": 7, "nowplaying": 6}
# A user is what is known of a user, and the order of ratings is not that of watching: no history. Chosen on three
# validation parts cut from the training part, the last fifth of all of it, of its first 85 % and of its first 70 %.
USERS = ("users=true", "history=0", "scoring=dot", "temperature=1", "dim=16", "query_layers=16", "id_dropout=.4",
         "negatives=256", "ns_exponent=0", "logq=.8", "trend=7", "epochs=10", "patience=none")  # fmt: skip
DIM, NEGATIVES, BATCH = 16, 10, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["movielens", "sessions", "speed"], default=[])
    parser.add_argument("--ratings", type=Path, default=Path.home() / ".cache" / "embedrec" / "ml-100k")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    parts = given.parts or ["movielens", "sessions", "speed"]
    with tempfile.TemporaryDirectory() as folder:
        if {"movielens", "speed"} & set(parts):
            embedrec(f"{folder}/ml", "prepare", "movielens", given.ratings)
        if "movielens" in parts:
            movielens(f"{folder}/ml", given.threads)
        if "speed" in parts:
            speed(Path(folder) / "ml", given.threads)
        for name, epochs in EPOCHS.items() if "sessions" in parts else ():
            source = given.data / name
            test = source / "test_prefixes.parquet"
            embedrec(f"{folder}/{name}", "prepare", "sessions", source / "train_sessions.parquet", "--test", test)
            more = ("--set", f"epochs={epochs}", "--threads", given.threads)
            found = evaluated(f"{folder}/{name}", "two-tower", *more)
            print(f"{name}: recall@20 {found['recall@20']:.4f}  mrr@20 {found['mrr@20']:.4f}", flush=True)


def movielens(workspace: str, threads: int) -> None:
    """Metrics of every seed, and their mean."""
    settings = [word for pair in USERS for word in ("--set", pair)]
    rows = []
    for seed in range(SEEDS):
        more = (*settings, "--seed", seed, "--threads", threads)
        found = evaluated(workspace, "two-tower", *SPLIT, *more)
        rows.append([found[metric] for metric in SHOWN])
        print(f"seed {seed}: " + _shown(rows[-1]), flush=True)
    print("mean:   " + _shown(np.mean(rows, axis=0).tolist()))
    found = evaluated(workspace, "popular", *SPLIT)
    print("popular: " + _shown([found[metric] for metric in SHOWN]), flush=True)


def _shown(values: list[float]) -> str:
    return "  ".join(f"{metric} {value:.4f}" for metric, value in zip(SHOWN, values, strict=True))


def speed(workspace: Path, threads: int) -> None:
    """Examples per second of both; an example is an event with its negatives."""
    import torch

    from embedrec.data.sessions import Sessions
    from embedrec.models.two_tower.recipe import TwoTower
    from embedrec.storage.workspace import Workspace

    torch.set_num_threads(threads)
    sessions = Sessions.load(Workspace(workspace).find("sessions"))
    rates: list[float] = []
    recipe = TwoTower(dim=DIM, epochs=4, batch=BATCH, patience=None, history=0, users=True, features=False, loss="bce",
                      negatives=NEGATIVES, ns_exponent=0.0, scoring="dot", temperature=1.0)  # fmt: skip

    def keep(event: str, **numbers: Any) -> None:
        if event == "epoch":
            rates.append(numbers["examples_per_second"])

    recipe.fit(sessions, seed=0, threads=threads, report=keep)
    ours = float(np.median(rates[1:]))
    plain = plain_loop(sessions, examples=BATCH * 20)
    print(f"{threads} threads: {ours:,.0f} examples a second, the plain loop {plain:,.0f}: {ours / plain:.1f} times")


def plain_loop(sessions: Any, *, examples: int) -> float:
    """Examples per second of a loop as in articles: each example and its negatives are built in Python."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset, Subset

    class Ratings(Dataset):
        def __init__(self) -> None:
            self.pairs = list(zip(sessions.session_of.tolist(), sessions.items.tolist(), strict=True))
            self.seen = {user: set(sessions[user].tolist()) for user in range(len(sessions))}
            self.all_items = list(range(len(sessions.vocab)))

        def __len__(self) -> int:
            return len(self.pairs) * (1 + NEGATIVES)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            user, item = self.pairs[index // (1 + NEGATIVES)]
            label = 1.0
            if index % (1 + NEGATIVES):
                label, item = 0.0, random.choice(self.all_items)
                while item in self.seen[user]:
                    item = random.choice(self.all_items)
            return torch.tensor(user), torch.tensor(item), torch.tensor(label)

    users, items = nn.Embedding(len(sessions), DIM), nn.Embedding(len(sessions.vocab), DIM)
    optimizer = torch.optim.Adam([*users.parameters(), *items.parameters()], lr=1e-3)
    pairs = Ratings()
    chosen = Subset(pairs, range(examples * (1 + NEGATIVES)))
    loader: Iterator = iter(DataLoader(chosen, batch_size=BATCH * (1 + NEGATIVES), shuffle=True))
    started = perf_counter()
    for user, item, label in loader:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits((users(user) * items(item)).sum(1), label)
        loss.backward()
        optimizer.step()
    return examples / (perf_counter() - started)


def evaluated(workspace: str, model: str, *arguments: object) -> dict[str, Any]:
    return json.loads(embedrec(workspace, "evaluate", model, "--json", "--draws", 0, *arguments))


def embedrec(workspace: str, *arguments: object) -> str:
    """The stdout of a command."""
    command = [sys.executable, "-m", "embedrec", *map(str, arguments), "--workspace", workspace]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
