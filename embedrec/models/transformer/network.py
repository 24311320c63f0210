"""The self-attentive network in training: all queries of a session from one pass, and the loss of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.feature_encoder import FeatureSum, distinct, encode_features
from embedrec.models.transformer import losses
from embedrec.models.transformer.settings import SASRecSettings
from embedrec.training.loop import Batch

_BLOCK = 1 << 14  # items at a time


class Network(nn.Module):
    """The network and the data of its examples. `forward` gives the sum of a batch's losses."""

    items: Tensor
    known: Tensor
    corrections: Tensor
    user_of: Tensor
    has_sessions: Tensor

    def __init__(
        self,
        recipe: SASRecSettings,
        sessions: Sessions,
        counts: np.ndarray,
        features: Features | None,
        user_ids: Vocab | None,
    ) -> None:
        super().__init__()
        self.recipe, d = recipe, recipe.dim
        data: dict[str, np.ndarray] = {
            "items": sessions.items.astype(np.int64),  # (E,)
            "known": (counts > 0).astype(np.float32)[:, None],  # (n, 1) whether an id can be learned
            "corrections": recipe.logq * np.log(expected_draws(recipe, counts)).astype(np.float32),  # (n,)
        }
        self.item_table = _table(len(counts), d)
        self.item_features = None if features is None else FeatureSum(encode_features(features, counts > 0), d)
        self.user_table = self.user_features = None
        if user_ids is not None:
            assert sessions.users is not None
            user_of = user_ids.rows_of(sessions.users)
            has_sessions = np.isin(np.arange(len(user_ids)), user_of)  # (U,) others have features only
            data |= {"user_of": user_of[sessions.session_of], "has_sessions": has_sessions.astype(np.float32)[:, None]}
            self.user_table = _table(len(user_ids), d)
            if recipe.features and sessions.user_features is not None:
                user_features = sessions.user_features.align(user_ids)
                self.user_features = FeatureSum(encode_features(user_features, has_sessions), d)
        self.places = nn.Parameter(0.1 * torch.randn(recipe.history, d)) if recipe.positions == "learned" else None
        self.blocks = nn.ModuleList(Block(recipe) for _ in range(recipe.blocks))
        self.norm = nn.LayerNorm(d)
        self.mean = WeightedMean(recipe) if recipe.query == "convex" else None
        # Mean vectors lie near those of their items: without an offset no probability would be low.
        rate = -float(np.log(recipe.batch + recipe.negatives))  # of one target among so many
        self.offset = nn.Parameter(torch.full((1,), rate)) if recipe.loss == "gbce" else None
        for name, array in data.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)), persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        starts, lengths, firsts = batch.each
        targets, drawn = batch.shared
        events, place = tokens(starts, lengths)
        queried = torch.nonzero(place >= torch.repeat_interleave(firsts, lengths))[:, 0]
        inputs, own = self.items[events], self.items[events[queried] + 1]
        rows, column = distinct(torch.cat([inputs, own, targets, drawn]), len(self.known))
        history, own, targets, drawn = torch.tensor_split(
            column, np.cumsum([len(inputs), len(own), len(targets)]).tolist()
        )
        vectors = self.item_vectors(rows)  # (u, d)
        queries = self.queries(functional.embedding(history, vectors), lengths)[queried]
        if self.user_table is not None:
            queries = queries + self.user_vectors(self.user_of[events[queried]])
        candidates = functional.dropout(vectors, self.recipe.candidate_dropout, self.training)
        if self.recipe.scoring == "cosine":
            queries, candidates = functional.normalize(queries, dim=1), functional.normalize(candidates, dim=1)
        queries = queries / self.recipe.temperature
        if self.offset is not None:
            queries = torch.cat([queries, torch.ones_like(queries[:, :1])], 1)
            candidates = torch.cat([candidates, self.offset.expand(len(candidates), 1)], 1)
        return losses.ranking_loss(queries, candidates, self._loss(own, targets, drawn, self.corrections[rows]))

    def _loss(self, own: Tensor, targets: Tensor, drawn: Tensor, corrections: Tensor) -> losses.Loss:
        """The loss of queries whose targets are `own` (b,), among items that are `targets` and `drawn` in the batch."""
        size, recipe = len(corrections), self.recipe
        weights = (torch.bincount(targets, minlength=size) + torch.bincount(drawn, minlength=size)).float()
        if recipe.loss == "softmax":
            logs, right = weights.log() - corrections, -corrections[own]
            return partial(losses.softmax, column=own, logs=logs, own=right, hardest=recipe.hardest)
        share = min((len(targets) + len(drawn) - 1) / max(int(self.known.sum()) - 1, 1), 1)  # of all negatives
        power = share * (recipe.calibration * (1 - 1 / max(share, 1e-9)) + 1 / max(share, 1e-9))
        return partial(losses.gbce, column=own, weights=weights, power=power)

    def item_vectors(self, rows: Tensor) -> Tensor:
        """The vectors of items: (u, d)."""
        known = self.known[rows]
        if self.training and self.item_features is not None and self.recipe.id_dropout:
            known = known * (torch.rand_like(known) >= self.recipe.id_dropout)
        vectors = functional.embedding(rows, self.item_table, sparse=True) * known
        return vectors if self.item_features is None else vectors + self.item_features(rows)

    def user_vectors(self, rows: Tensor) -> Tensor:
        """The user part of a query: (u, d)."""
        assert self.user_table is not None
        vectors = functional.embedding(rows, self.user_table, sparse=True) * self.has_sessions[rows]
        if self.training and self.recipe.id_dropout:
            vectors = vectors * (torch.rand(len(rows), 1, device=rows.device) >= self.recipe.id_dropout)
        return vectors if self.user_features is None else vectors + self.user_features(rows)

    def queries(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """The query after each event, without users: (t, d).

        vectors  (t, d) of the events of sessions, one session after the other, the shortest first
        lengths  (s,) of the sessions, at most `history`
        """
        vectors = functional.dropout(vectors, self.recipe.dropout, self.training)
        groups = PaddedGroups(lengths)
        states = vectors * self.recipe.dim**0.5
        if self.places is not None:
            states = states + self.places[groups.place]
        for block in self.blocks:
            states = block(states, groups)
        states = self.norm(states)
        return states if self.mean is None else self.mean(states, vectors, groups)

    @torch.no_grad()
    def arrays(self) -> Mapping[str, np.ndarray]:
        """The arrays of the model, see `numpy_transformer`; normalisations are part of the layers after them."""
        before = self.training
        self.eval()
        device = self.item_table.device
        rows = torch.split(torch.arange(len(self.item_table), device=device), _BLOCK)
        arrays = {"items": torch.cat([self.item_vectors(r) for r in rows])}
        if self.user_table is not None:
            arrays["users"] = self.user_vectors(torch.arange(len(self.user_table), device=device))
        if self.places is not None:
            arrays["places"] = self.places
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            arrays |= {f"{name}{number}": tensor for name, tensor in block.arrays().items()}
        if self.mean is None:
            arrays |= {"scale": self.norm.weight, "shift": self.norm.bias}
        else:
            arrays |= self.mean.arrays(self.norm)
        self.train(before)
        return {name: tensor.detach().float().cpu().contiguous().numpy().copy() for name, tensor in arrays.items()}


class Block(nn.Module):
    """x + attention of its normalisation, then x + a feed-forward layer of its normalisation."""

    def __init__(self, recipe: SASRecSettings) -> None:
        super().__init__()
        d, self.heads, self.dropout = recipe.dim, recipe.heads, recipe.block_dropout
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attend, self.merge = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.widen, self.narrow = nn.Linear(d, recipe.units), nn.Linear(recipe.units, d)
        self.gate1, self.gate2 = (nn.Linear(d, d) if recipe.gates else None for _ in range(2))
        self.distances = Distances(recipe.heads, recipe)
        for layer in (self.attend, self.merge, self.widen, self.narrow):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, groups: PaddedGroups) -> Tensor:
        q, k, v = torch.split(self.attend(self.norm1(x)), x.shape[1], 1)
        added = self.merge(causal_attention(q, k, v, self.heads, self.distances, groups))
        x = x + self._gated(added, x, self.gate1)
        added = self.narrow(functional.relu(self.widen(self.norm2(x))))
        return x + self._gated(added, x, self.gate2)

    def _gated(self, added: Tensor, x: Tensor, gate: nn.Module | None) -> Tensor:
        added = added if gate is None else added * torch.sigmoid(gate(x))
        return functional.dropout(added, self.dropout, self.training)

    def arrays(self) -> dict[str, Tensor]:
        """The arrays of the block, by name without its number."""
        layers = {
            "attend": folded(self.norm1, self.attend),
            "merge": (self.merge.weight.T, self.merge.bias),
            "widen": folded(self.norm2, self.widen),
            "narrow": (self.narrow.weight.T, self.narrow.bias),
        }
        for name, gate in (("gate_attention", self.gate1), ("gate_feed", self.gate2)):
            if gate is not None:
                layers[name] = (gate.weight.T, gate.bias)
        arrays = {name: weight for name, (weight, _) in layers.items()}
        arrays |= {f"{name}_bias": bias for name, (_, bias) in layers.items()}
        return arrays | self.distances.arrays()


class WeightedMean(nn.Module):
    """The weighted mean of a session's item vectors; weights are attention of its last state, and of the items."""

    def __init__(self, recipe: SASRecSettings) -> None:
        super().__init__()
        d = recipe.dim
        self.attend = nn.Linear(d, 2 * d)
        nn.init.xavier_uniform_(self.attend.weight)
        nn.init.zeros_(self.attend.bias)
        self.distances = Distances(1, recipe)

    def forward(self, states: Tensor, vectors: Tensor, groups: PaddedGroups) -> Tensor:
        q, k = torch.split(self.attend(states), states.shape[1], 1)
        return causal_attention(q, k, vectors, 1, self.distances, groups)

    def arrays(self, norm: nn.LayerNorm) -> dict[str, Tensor]:
        """The arrays of the mean of states that `norm` scales."""
        weight, bias = folded(norm, self.attend)
        return {"mean": weight, "mean_bias": bias, **{f"mean_{k}": v for k, v in self.distances.arrays().items()}}


class Distances(nn.Module):
    """Logits of attention by the distance of two items, if positions=relative; they begin with a decay of 0.8."""

    def __init__(self, heads: int, recipe: SASRecSettings) -> None:
        super().__init__()
        self.logits: nn.Parameter | None = None
        if recipe.positions == "relative":
            decay = float(np.log(_DECAY)) * torch.arange(recipe.history)
            self.logits = nn.Parameter(decay.repeat(heads, 1))  # (heads, history)

    def forward(self, length: int, device: torch.device) -> Tensor:
        """Added to the scores of queries and keys: (heads or 1, length, length); −inf for keys after the query."""
        place = torch.arange(length, device=device)
        distance = place[:, None] - place[None, :]
        bias = torch.zeros(1, length, length, device=device)
        if self.logits is not None:
            bias = self.logits[:, distance.clamp(min=0)]
        return bias.masked_fill(distance < 0, -torch.inf)

    def arrays(self) -> dict[str, Tensor]:
        return {} if self.logits is None else {"distances": self.logits}


class PaddedGroups:
    """Groups of sessions of similar length, padded to the longest of the group, which is less than twice the shortest.

    lengths  (s,) ascending, of sessions that follow each other as t tokens
    place    (t,) place of each token in its session
    groups   of each group: index (m, l) of tokens, and the index of its real tokens in (m · l); None if all are real
    """

    def __init__(self, lengths: Tensor) -> None:
        host = lengths.cpu().numpy()
        self.longest = int(host[-1]) if len(host) else 0
        self.place = tokens(torch.zeros_like(lengths), lengths)[1]
        starts = np.cumsum(host) - host
        self.groups: list[tuple[Tensor, Tensor | None]] = []
        bounds = np.unique(np.searchsorted(host, [1, *(2**power + 1 for power in range(20))])).tolist()
        for first, stop in zip(bounds, [*bounds[1:], len(host)], strict=True):
            if stop > first:
                self.groups.append(_group(host[first:stop], starts[first:stop], lengths.device))


def _group(lengths: np.ndarray, starts: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor | None]:
    place = np.arange(lengths[-1])
    real = place < lengths[:, None]
    index = torch.from_numpy(starts[:, None] + np.where(real, place, 0)).to(device)
    return index, None if real.all() else torch.from_numpy(np.flatnonzero(real)).to(device)


def causal_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, distances: Distances, groups: PaddedGroups) -> Tensor:
    """Attention (t, d) of each token to those of its session up to itself; q, k and v are (t, d)."""
    d = q.shape[1]
    bias = distances(groups.longest, q.device)
    joint, results = torch.cat([q * (d // heads) ** -0.5, k, v], 1), []
    for index, real in groups.groups:
        m, length = index.shape
        q, k, v = (
            part.view(m, length, heads, -1).transpose(1, 2) for part in torch.split(joint[index.view(-1)], d, 1)
        )  # (m, heads, l, d / heads)
        shares = torch.softmax(torch.matmul(q, k.transpose(2, 3)) + bias[:, :length, :length], -1)
        result = torch.matmul(shares, v).transpose(1, 2).reshape(m * length, d)
        results.append(result if real is None else result[real])
    return torch.cat(results) if results else joint[:, :d]


def tokens(starts: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The events (t,) of runs that start at `starts` (s,), and their places (t,) in the run, from 0."""
    ends = torch.cumsum(lengths, 0)
    place = torch.arange(int(lengths.sum()), device=lengths.device) - torch.repeat_interleave(ends - lengths, lengths)
    return place + torch.repeat_interleave(starts, lengths), place


def folded(norm: nn.LayerNorm, layer: nn.Linear) -> tuple[Tensor, Tensor]:
    """The matrix (in, out) and bias of a linear layer after a normalisation, whose scale and shift they contain."""
    return (layer.weight * norm.weight).T, layer.weight @ norm.bias + layer.bias


def expected_draws(recipe: SASRecSettings, counts: np.ndarray) -> np.ndarray:
    """Expected number of draws of each item as candidate of a batch: (n,) float64; 1 for items never drawn.

    As a target in proportion to its count (Yi et al. 2019), and as one of the drawn negatives.
    """
    from embedrec.kernels.sampling import noise_weights

    drawn = noise_weights(counts, recipe.ns_exponent)
    expected = recipe.batch * counts / max(counts.sum(), 1) + recipe.negatives * drawn / max(drawn.sum(), 1e-300)
    return np.where(expected > 0, expected, 1)


def _table(rows: int, dim: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, dim) / dim**0.5)


_DECAY = 0.8  # initial weight of an item in attention relative to the one after it
