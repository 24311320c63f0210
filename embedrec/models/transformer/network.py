"""The self-attentive network in training: all queries of a session from one pass, and the loss of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.feature_encoder import distinct
from embedrec.models.item_user_vectors import ItemUserVectors
from embedrec.models.transformer import losses
from embedrec.models.transformer.settings import SASRecSettings
from embedrec.training.loop import Batch


class Network(ItemUserVectors):
    """The network and the data of its examples. `forward` gives the sum of a batch's losses."""

    items: Tensor
    corrections: Tensor

    def __init__(
        self,
        recipe: SASRecSettings,
        sessions: Sessions,
        counts: np.ndarray,
        features: Features | None,
        user_ids: Vocab | None,
    ) -> None:
        super().__init__(recipe.dim, recipe.id_dropout, counts)
        self.recipe, d = recipe, recipe.dim
        self.create_item_features(features)
        self.create_users(sessions, user_ids, features=recipe.features)
        self.places = nn.Parameter(0.1 * torch.randn(recipe.history, d)) if recipe.positions == "learned" else None
        self.blocks = nn.ModuleList(Block(recipe) for _ in range(recipe.blocks))
        self.norm = nn.LayerNorm(d)
        self.mean = WeightedMean(recipe) if recipe.query == "convex" else None
        # Mean vectors lie near those of their items: without an offset no probability would be low.
        rate = -float(np.log(1 + recipe.negatives))  # of one target among so many
        self.offset = nn.Parameter(torch.full((1,), rate)) if recipe.loss == "gbce" else None
        self.keep("items", sessions.items.astype(np.int64))  # (E,)
        self.keep("corrections", recipe.logq * np.log(expected_draws(recipe, counts)).astype(np.float32))  # (n,)

    def forward(self, batch: Batch) -> Tensor:
        starts, lengths, firsts = batch.each
        (drawn,) = batch.shared
        events, place = tokens(starts, lengths)
        queried = torch.nonzero(place >= torch.repeat_interleave(firsts, lengths))[:, 0]
        inputs, own = self.items[events], self.items[events[queried] + 1]
        rows, column = distinct(torch.cat([inputs, own, drawn]), len(self.known))
        history, own, drawn = torch.tensor_split(column, [len(inputs), len(inputs) + len(own)])
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
        return losses.ranking_loss(queries, candidates, self._loss(own, drawn, self.corrections[rows]))

    def _loss(self, own: Tensor, drawn: Tensor, corrections: Tensor) -> losses.Loss:
        """The loss of queries whose targets are `own` (b,), with the negatives `drawn` (m,)."""
        size, recipe = len(corrections), self.recipe
        weights = torch.bincount(drawn, minlength=size).float()
        if recipe.loss == "softmax":
            logs, right = weights.log() - corrections, -corrections[own]
            return partial(losses.softmax, column=own, logs=logs, own=right, hardest=recipe.hardest)
        share = min(len(drawn) / max(int(self.known.sum()) - 1, 1), 1)  # of all negatives
        power = share * (recipe.calibration * (1 - 1 / max(share, 1e-9)) + 1 / max(share, 1e-9))
        return partial(losses.gbce, column=own, weights=weights, power=power)

    def queries(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """The query after each event, without users: (t, d).

        vectors  (t, d) of the events of sessions, one session after the other, the shortest first
        lengths  (s,) of the sessions, at most `history`
        """
        vectors = functional.dropout(vectors, self.recipe.dropout, self.training)
        runs = Runs(lengths)
        states = vectors * self.recipe.dim**0.5
        if self.places is not None:
            states = states + self.places[runs.place]
        for block in self.blocks:
            states = block(states, runs)
        states = self.norm(states)
        return states if self.mean is None else self.mean(states, vectors, runs)

    def query_arrays(self) -> Mapping[str, Tensor]:
        """See `numpy_transformer`; normalisations are part of the layers after them."""
        arrays: dict[str, Tensor] = {} if self.places is None else {"places": self.places}
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            arrays |= {f"{name}{number}": tensor for name, tensor in block.arrays().items()}
        if self.mean is None:
            return arrays | {"scale": self.norm.weight, "shift": self.norm.bias}
        return arrays | self.mean.arrays(self.norm)


class Block(nn.Module):
    """x + attention of its normalisation, then x + a feed-forward layer of its normalisation."""

    def __init__(self, recipe: SASRecSettings) -> None:
        super().__init__()
        d, self.dropout = recipe.dim, recipe.block_dropout
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attend, self.merge = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.widen, self.narrow = nn.Linear(d, recipe.units), nn.Linear(recipe.units, d)
        self.gate1, self.gate2 = (nn.Linear(d, d) if recipe.gates else None for _ in range(2))
        self.distances = Distances(recipe.heads, recipe)
        for layer in (self.attend, self.merge, self.widen, self.narrow):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, runs: Runs) -> Tensor:
        joint = self.attend(self.norm1(x))
        added = self.merge(causal_attention(joint, None, self.distances, runs))
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

    def forward(self, states: Tensor, vectors: Tensor, runs: Runs) -> Tensor:
        return causal_attention(self.attend(states), vectors, self.distances, runs)

    def arrays(self, norm: nn.LayerNorm) -> dict[str, Tensor]:
        """The arrays of the mean of states that `norm` scales."""
        weight, bias = folded(norm, self.attend)
        return {"mean": weight, "mean_bias": bias, **{f"mean_{k}": v for k, v in self.distances.arrays().items()}}


class Distances(nn.Module):
    """Logits of attention by the distance of two items, of `heads` heads; they begin with a decay of 0.8.

    Zero and not learned unless positions=relative.
    """

    logits: Tensor

    def __init__(self, heads: int, recipe: SASRecSettings) -> None:
        super().__init__()
        self.relative = recipe.positions == "relative"
        logits = (float(np.log(_DECAY)) * torch.arange(recipe.history)).repeat(heads, 1)  # (heads, history)
        if self.relative:
            self.logits = nn.Parameter(logits)
        else:
            self.register_buffer("logits", torch.zeros_like(logits), persistent=False)

    def forward(self, length: int) -> Tensor:
        """Added to the scores of queries and keys: (heads, length, length); −inf for keys after the query."""
        place = torch.arange(length, device=self.logits.device)
        distance = place[:, None] - place[None, :]
        return self.logits[:, distance.clamp(min=0)].masked_fill(distance < 0, -torch.inf)

    def arrays(self) -> dict[str, Tensor]:
        """The logits, if they are learned."""
        return {"distances": self.logits} if self.relative else {}


class Runs:
    """Sessions that follow each other as t tokens.

    lengths  (s,) tokens of each, ascending
    offsets  (s + 1,) int64, on the CPU
    place    (t,) place of each token in its session
    """

    def __init__(self, lengths: Tensor) -> None:
        self.lengths = lengths
        self.offsets = np.concatenate([[0], np.cumsum(lengths.cpu().numpy())])
        self.place = tokens(torch.zeros_like(lengths), lengths)[1]

    @property
    def pairs(self) -> int:
        """Pairs of a token and one up to it in its session."""
        lengths = np.diff(self.offsets)
        return int((lengths * (lengths + 1) // 2).sum())

    def padded_groups(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Sessions of similar length, padded to the longest, which is less than twice the shortest: the index (m, l) of
        their tokens, and that of the real ones in (m · l)."""
        lengths = np.diff(self.offsets)
        bounds = np.unique(np.searchsorted(lengths, [1, *(2**power + 1 for power in range(30))])).tolist()
        for first, stop in pairwise([*bounds, len(lengths)]):
            if stop > first:
                place = np.arange(lengths[stop - 1])
                real = place < lengths[first:stop, None]
                index = self.offsets[first:stop, None] + np.where(real, place, 0)
                device = self.lengths.device
                yield torch.from_numpy(index).to(device), torch.from_numpy(np.flatnonzero(real)).to(device)


def causal_attention(joint: Tensor, values: Tensor | None, distances: Distances, runs: Runs) -> Tensor:
    """Attention (t, d) of each token to those of its session up to itself.

    joint   (t, 2d) queries and keys, or (t, 3d) with the values
    values  (t, d); None if they are part of `joint`
    """
    d = joint.shape[1] // (3 if values is None else 2)
    if joint.device.type != "cpu" or joint.dtype != torch.float32:
        queries, keys = joint[:, :d], joint[:, d : 2 * d]
        return padded_attention(queries, keys, joint[:, 2 * d :] if values is None else values, distances, runs)
    result: Tensor = _Attention.apply(joint, values, distances.logits, runs)  # type: ignore[no-untyped-call]
    return result


class _Attention(torch.autograd.Function):
    """`padded_attention` without padding, in compiled loops."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, joint: Tensor, values: Tensor | None, logits: Tensor, runs: Runs
    ) -> Tensor:
        from embedrec.kernels.session_attention import attend

        d = joint.shape[1] // (3 if values is None else 2)
        scale = torch.ones(joint.shape[1])
        scale[:d] = (d // len(logits)) ** -0.5
        joint = joint * scale
        of_values, column = (joint, 2 * d) if values is None else (values.contiguous(), 0)
        shares, result = torch.empty(len(logits), runs.pairs), torch.empty(len(joint), d)
        arrays = [tensor.detach().numpy() for tensor in (logits, shares, result)]
        attend(joint.numpy(), of_values.detach().numpy(), column, runs.offsets, *arrays)
        ctx.save_for_backward(joint, of_values, shares, scale, logits)
        ctx.runs, ctx.joined = runs, values is None  # type: ignore[attr-defined]
        return result

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *above: Tensor) -> tuple[Tensor | None, ...]:
        from embedrec.kernels.session_attention import attend_backward

        joint, values, shares, scale, logits = ctx.saved_tensors  # type: ignore[attr-defined]
        joined, runs = ctx.joined, ctx.runs  # type: ignore[attr-defined]
        d_joint, d_logits = torch.zeros_like(joint), torch.zeros_like(logits)
        d_values = d_joint if joined else torch.zeros_like(values)
        column = 2 * joint.shape[1] // 3 if joined else 0
        arrays = [tensor.numpy() for tensor in (shares, above[0].contiguous(), d_joint, d_values, d_logits)]
        attend_backward(joint.numpy(), values.numpy(), column, runs.offsets, *arrays)
        return d_joint.mul_(scale), None if joined else d_values, d_logits, None


def padded_attention(queries: Tensor, keys: Tensor, values: Tensor, distances: Distances, runs: Runs) -> Tensor:
    """`causal_attention` of (t, d) queries, keys and values, on any device."""
    d, heads = queries.shape[1], len(distances.logits)
    bias = distances(int(np.diff(runs.offsets).max(initial=0)))
    joint, results = torch.cat([queries * (d // heads) ** -0.5, keys, values], 1), []
    for index, real in runs.padded_groups():
        m, length = index.shape
        q, k, v = (
            part.view(m, length, heads, -1).transpose(1, 2) for part in torch.split(joint[index.view(-1)], d, 1)
        )  # (m, heads, l, d / heads)
        shares = torch.softmax(torch.matmul(q, k.transpose(2, 3)) + bias[:, :length, :length], -1)
        results.append(torch.matmul(shares, v).transpose(1, 2).reshape(m * length, d)[real])
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
    """Expected number of draws of each item as a negative of a batch: (n,) float64; 1 for items never drawn."""
    from embedrec.kernels.sampling import noise_weights

    weights = noise_weights(counts, recipe.ns_exponent)
    expected = recipe.negatives * weights / max(weights.sum(), 1e-300)
    return np.where(expected > 0, expected, 1)


_DECAY = 0.8  # initial weight of an item in attention relative to the one after it
