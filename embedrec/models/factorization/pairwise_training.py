"""Pairwise training: observed pairs of a session and an item against random pairs.

Modules score a pair; `PairLearner` draws the pairs. He et al. 2017 (a perceptron instead of the dot product);
Rendle et al. 2009 (BPR: an item of the session ranked above another one).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, relu

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.kernels.sampling import noise_weights
from embedrec.models.base import Model
from embedrec.models.session_encoders import mean_encoder
from embedrec.models.warm_start import TrainingStart
from embedrec.training.devices import generator
from embedrec.training.loop import Batch
from embedrec.training.row_adagrad import RowAdagrad
from embedrec.training.row_adamw import RowAdamW
from embedrec.training.row_squares import row_squares


class PairSettings(Protocol):
    """The settings that `PairLearner` needs."""

    @property
    def batch(self) -> int: ...

    @property
    def negatives(self) -> int: ...

    @property
    def ns_exponent(self) -> float: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...


class Scorer(nn.Module, ABC):
    """Tables of session and item vectors, and the score of a pair.

    deviation  of initial values
    """

    def __init__(self, sessions: int, items: int, dim: int, *, deviation: float = 0.01) -> None:
        super().__init__()
        self.sessions = _table(sessions, dim, deviation)
        self.items = _table(items, dim, deviation)

    @abstractmethod
    def score(self, session: Tensor, item: Tensor) -> Tensor:
        """The score of every pair: rows (b,) and (b,) → (b,)."""


class Dot(Scorer):
    """The dot product and a bias of the item and of the session."""

    def __init__(self, sessions: int, items: int, dim: int, *, deviation: float = 0.01) -> None:
        super().__init__(sessions, items, dim, deviation=deviation)
        self.session_bias, self.item_bias = _table(sessions, 1, 0), _table(items, 1, 0)

    def score(self, session: Tensor, item: Tensor) -> Tensor:
        """See `Scorer.score`."""
        product = (self.sessions(session) * self.items(item)).sum(1)
        return product + (self.session_bias(session) + self.item_bias(item)).squeeze(1)


class Perceptron(Scorer):
    """The concatenated vectors, through ReLU layers to one number."""

    def __init__(
        self,
        sessions: int,
        items: int,
        dim: int,
        hidden: Sequence[int],
        *,
        deviation: float = 0.01,
    ) -> None:
        super().__init__(sessions, items, dim, deviation=deviation)
        shapes = [2 * dim, *hidden]
        layers = [nn.Linear(*pair) for pair in pairwise(shapes)]
        self.layers, self.last = nn.ModuleList(layers), nn.Linear(shapes[-1], 1)

    def layer_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """The weights and biases of the layers, by the names of their arrays."""
        layers = [*self.layers, self.last]
        return [(f"layer{n}.{name}", p) for n, layer in enumerate(layers) for name, p in layer.named_parameters()]

    def layer_arrays(self) -> dict[str, np.ndarray]:
        """The arrays of the layers, with which a warm start continues."""
        return {name: p.detach().float().cpu().numpy().copy() for name, p in self.layer_parameters()}

    def score(self, session: Tensor, item: Tensor) -> Tensor:
        """See `Scorer.score`."""
        hidden = torch.cat([self.sessions(session), self.items(item)], 1)
        for layer in self.layers:
            hidden = relu(layer(hidden))
        return self.last(hidden).squeeze(1)


class SquaredErrorLoss(nn.Module):
    """Squared errors of the scores through a sigmoid, against 1 for observed pairs and 0 for random ones."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, batch: Batch) -> Tensor:
        """The sum over examples; each is an observed pair and its random ones."""
        session, item, random_sessions, random_items, known = batch.each  # (b,), (b,), (b, m), (b, m), (b, m)
        positive = torch.sigmoid(self.scorer.score(session, item))
        negative = torch.sigmoid(self.scorer.score(random_sessions.reshape(-1), random_items.reshape(-1)))
        return ((1 - positive) ** 2).sum() + (negative**2 * ~known.reshape(-1)).sum()


class BPRLoss(nn.Module):
    """−ln σ(score − that of another item in the same session): BPR.

    decay  half of it times the squared vectors of an example is added
    """

    def __init__(self, scorer: Dot, decay: float = 0.0) -> None:
        super().__init__()
        self.scorer, self.decay = scorer, decay

    def forward(self, batch: Batch) -> Tensor:
        """The sum over examples; each is an observed pair and other items of its session."""
        session, item, _, random_items, known = batch.each
        b, m = random_items.shape
        rows = torch.cat([item, random_items.reshape(-1)])
        vectors, biases = self.scorer.items(rows), self.scorer.item_bias(rows)[:, 0]
        x = self.scorer.sessions(session)  # (b, d); the session's bias is the same on both sides
        difference = vectors[:b, None] - vectors[b:].view(b, m, -1)  # (b, m, d)
        gap = (x[:, None] * difference).sum(2) + biases[:b, None] - biases[b:].view(b, m)
        loss = -(logsigmoid(gap) * ~known).sum() / m
        if self.decay:
            loss = loss + self.decay / 2 * (x.square().sum() + vectors.square().sum())
        return loss


class PairLearner:
    """See `training.loop.Learner`. An example is an item of a session, once, and `negatives` random pairs.

    same      whether the random pairs are of the same session, or of random ones
    build_model  the module → the model
    """

    def __init__(
        self,
        settings: PairSettings,
        sessions: Sessions,
        module: nn.Module,
        build_model: Callable[[], Model],
        *,
        same: bool,
        seed: int,
        start: TrainingStart | None = None,
    ) -> None:
        self.start, self.vocab = start, sessions.vocab
        self.stepping: list[torch.optim.Optimizer] = []  # those of `optimizers`
        n = max(len(sessions.vocab), 1)
        self.keys = torch.from_numpy(np.unique(sessions.session_of * n + sessions.items))  # (p,) ascending
        if not len(self.keys):
            raise DataError("there are no events to learn from; lower min_count, or prepare sessions with events")
        self.settings, self.module, self.model = settings, module, build_model
        self.same, self.seed, self.n, self.count = same, seed, n, len(sessions)
        counts = np.bincount(sessions.items, minlength=n) if start is None else start.of(sessions.vocab).mentions(n)
        self.drawn = torch.from_numpy(np.cumsum(noise_weights(counts, settings.ns_exponent)))
        self.examples = len(self.keys)

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """AdamW (Loshchilov & Hutter 2019), or Adagrad (Duchi et al. 2011) for BPR.

        Both update only the table rows of a batch.
        """
        rate, decay = self.settings.learning_rate, self.settings.weight_decay
        by_rows = {id(m.weight) for m in self.module.modules() if isinstance(m, nn.Embedding)}
        tables = [p for p in self.module.parameters() if id(p) in by_rows]
        others = [p for p in self.module.parameters() if id(p) not in by_rows]
        if self.same:
            self.stepping = [RowAdagrad(tables, rate, eps=_TINY)]
            if self.start is not None:
                self.start.start_squares(self.stepping, self._item_table, self.vocab)
            return self.stepping
        optimizers: list[torch.optim.Optimizer] = [RowAdamW(tables, rate, _BETAS, _EPS, decay)]
        if others:
            optimizers.append(torch.optim.AdamW(others, rate, _BETAS, _EPS, decay, fused=True))
        return optimizers

    @property
    def _item_table(self) -> nn.Parameter:
        return dict(self.module.named_parameters())["scorer.items.weight"]

    def squares(self) -> np.ndarray:
        """See `row_squares`, of the items: (n,) float32."""
        return row_squares(self.stepping, self._item_table)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Shuffled observed pairs, each with random ones, and a mask of the random ones that are observed too."""
        random = generator(self.seed, epoch)
        order = torch.randperm(self.examples, generator=random)
        for chosen in torch.split(order, self.settings.batch):
            keys = self.keys[chosen]
            session, item = keys // self.n, keys % self.n
            shape = (len(keys), self.settings.negatives)
            random_items = self._draw(shape, random)
            random_sessions = session[:, None].expand(shape)
            if not self.same:
                random_sessions = torch.randint(self.count, shape, generator=random)
            drawn = random_sessions * self.n + random_items
            place = torch.searchsorted(self.keys, drawn).clamp(max=len(self.keys) - 1)
            yield Batch((session, item, random_sessions.contiguous(), random_items, self.keys[place] == drawn))

    def _draw(self, shape: tuple[int, int], random: torch.Generator) -> Tensor:
        """Random items, in proportion to count ** ns_exponent."""
        if not self.settings.ns_exponent:
            return torch.randint(self.n, shape, generator=random)
        chosen = torch.rand(shape, generator=random, dtype=torch.float64) * self.drawn[-1]
        return torch.searchsorted(self.drawn, chosen, right=True).clamp(max=self.n - 1)


def table_vectors(table: nn.Embedding) -> np.ndarray:
    """The vectors of a table: (n, d) float32."""
    return table.weight.detach().float().cpu().numpy().copy()


def filter_items(sessions: Sessions, min_count: int, every: Sessions | None = None) -> tuple[Vocab, Sessions]:
    """Items mentioned often enough, and the sessions of them.

    every  the sessions that are counted, in the same vocabulary; None counts the given ones
    """
    from embedrec.models.pair_counts import frequent_items

    rows, mentions = frequent_items(sessions if every is None else every, min_count)
    vocab = sessions.vocab.take(rows)
    if vocab.counts is None:
        vocab = vocab.with_counts(mentions)
    return vocab, sessions.reindex(vocab)


@torch.no_grad()
def start_pairs(scorer: Scorer, start: TrainingStart, vocab: Vocab, sessions: Sessions) -> None:
    """Start items with those of a model, sessions with the mean vector of their items, and layers if the model has
    them; without biases and layers of a model of an earlier version, these start anew."""
    arrays = start.arrays
    items = start.vectors(table_vectors(scorer.items), vocab, arrays["items"])
    scorer.items.weight.copy_(torch.from_numpy(items))
    if isinstance(scorer, Dot):
        scorer.sessions.weight.copy_(torch.from_numpy(mean_encoder(items, 1.0)(sessions)))
        if "bias" in arrays:
            bias = start.rows(table_vectors(scorer.item_bias)[:, 0], vocab, arrays["bias"])
            scorer.item_bias.weight.copy_(torch.from_numpy(bias)[:, None])
    if isinstance(scorer, Perceptron):
        for name, parameter in scorer.layer_parameters():
            if name in arrays:
                parameter.copy_(torch.tensor(arrays[name]))


def _table(rows: int, dim: int, deviation: float) -> nn.Embedding:
    table = nn.Embedding(rows, dim, sparse=True)
    if deviation:
        nn.init.trunc_normal_(table.weight, std=deviation)
    else:
        nn.init.zeros_(table.weight)
    return table


_BETAS, _EPS = (0.9, 0.99), 1e-5  # of AdamW
_TINY = 1e-20  # below the squares of all gradients, which are means over a batch
