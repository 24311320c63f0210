"""What is trained in these tests: a line through points, of which a table and a matrix know half each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from embedrec.data import Features, Sessions, Vocab
from embedrec.data.features import Categories, Lists
from embedrec.training.devices import generator
from embedrec.training.loop import Batch
from tests.conftest import of_lists

POINTS, ROWS = 48, 6


def clustered_sessions(count: int = 120, *, seed: int = 0) -> Sessions:
    """Sessions of 2 to 8 items, each of one of six groups of five, by users who keep to a group."""
    rng = np.random.default_rng(seed)
    lists = []
    for session in range(count):
        group = session % 6
        lists.append([f"i{group * 5 + i}" for i in rng.integers(0, 5, rng.integers(2, 9))])
    made = of_lists(lists, Vocab([f"i{i}" for i in range(30)])).drop_unused_items()
    users = np.array([f"u{session % 12}" for session in range(count)], dtype=object)
    return Sessions(made.offsets, made.items, made.vocab, made.ids, users=users)


def featured(sessions: Sessions, strangers: int = 2) -> Sessions:
    """Every item has its group as a category, in a list, and a number; two items of each group never occur."""
    new = [f"i{group * 5 + 100 + i}" for group in range(6) for i in range(strangers)]
    ids = [*sessions.vocab.ids.tolist(), *new]
    group = np.array([(int(i[1:]) % 100) // 5 for i in ids], dtype=np.int32)
    group = np.where([int(i[1:]) >= 100 for i in ids], np.array([(int(i[1:]) - 100) // 5 for i in ids]), group)
    names = np.array([f"g{g}" for g in range(6)], dtype=object)
    lists = Lists(np.arange(len(ids) + 1), group, names)
    numbers = {"number": group.astype(np.float32)}
    return replace(
        sessions, item_features=Features(Vocab(ids), numbers, {"group": Categories(group, names)}, {"l": lists})
    )


class Line(nn.Module):
    """The sum of squared errors of table[row] · x + shift; with dropout of x."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(ROWS, 2))
        self.shift = nn.Parameter(torch.zeros(()))
        self.dropout = dropout

    def forward(self, batch: Batch) -> Tensor:
        rows, x, y = batch.each
        x = nn.functional.dropout(x, self.dropout, self.training)
        predicted = (nn.functional.embedding(rows, self.table, sparse=True) * x).sum(1) + self.shift
        return ((predicted - y) ** 2).sum()


class LineLearner:
    """Learns the line; `rate` may be too large."""

    def __init__(self, *, seed: int = 0, batch: int = 8, dropout: float = 0.0, rate: float = 0.05) -> None:
        rng = np.random.default_rng(5)
        self.rows = torch.from_numpy(rng.integers(0, ROWS, POINTS))
        self.x = torch.from_numpy(rng.normal(size=(POINTS, 2)).astype(np.float32))
        self.y = torch.from_numpy(rng.normal(size=POINTS).astype(np.float32))
        self.seed, self.batch, self.rate, self.examples = seed, batch, rate, POINTS
        self.module: nn.Module = Line(dropout)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        line = self.module
        assert isinstance(line, Line)
        return [torch.optim.Adagrad([line.table], self.rate), torch.optim.AdamW([line.shift], self.rate)]

    def batches(self, epoch: int) -> Iterator[Batch]:
        order = torch.randperm(POINTS, generator=generator(self.seed, epoch))
        for start in range(0, POINTS, self.batch):
            chosen = order[start : start + self.batch]
            yield Batch((self.rows[chosen], self.x[chosen], self.y[chosen]))

    def bytes(self) -> list[bytes]:
        return [tensor.detach().numpy().tobytes() for tensor in self.module.state_dict().values()]
