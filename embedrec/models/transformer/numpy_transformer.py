"""Inference of the self-attentive network in NumPy, over batches of histories of similar length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.array_packing import shaped, unpack_ids
from embedrec.models.base import Arrays
from embedrec.models.transformer.settings import SASRecSettings

BLOCK_TOKENS = 1 << 12  # tokens of one matrix product, which then fits the cache
BLOCK_SESSIONS = 1 << 15  # histories among which common prefixes are found
EPSILON = 1e-5  # of normalisations

Linear = tuple[np.ndarray, np.ndarray]  # a matrix (in, out) and a bias (out,)


@dataclass(frozen=True, eq=False)
class Block:
    """A transformer block; the scale and shift of normalisations are part of the layers after them.

    attend           (d, 3d): queries, keys and values
    merge            (d, d), of the values of all heads
    widen, narrow    (d, units) and (units, d), with ReLU in between
    gate_attention, gate_feed  (d, d), or None without gates
    distances        (heads, history) logits of attention by the distance of two items, or None
    """

    attend: Linear
    merge: Linear
    widen: Linear
    narrow: Linear
    gate_attention: Linear | None
    gate_feed: Linear | None
    distances: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Transformer:
    """An `Encoder`: histories → queries (S, d) float32, zero if nothing is known.

    items      (n, d)
    places     (history, d) vectors of places, or None
    blocks     see `Block`
    final      of query=last: scale and shift (d,) of the last normalisation; of query=convex: (d, 2d), queries and keys
               of the weighted mean, whose logits by distance are `distances` (1, history) or None
    users      (U, d) of the users `user_ids`, or None
    rotation   (d, d) float32 from the space of the network to that of items, queries and users; None if both are one
    """

    recipe: SASRecSettings
    items: np.ndarray
    places: np.ndarray | None
    blocks: tuple[Block, ...]
    final: Linear
    distances: np.ndarray | None
    users: np.ndarray | None
    user_ids: Vocab | None
    rotation: np.ndarray | None

    @classmethod
    def of(cls, recipe: SASRecSettings, arrays: Arrays) -> Transformer:
        """The network of a model's arrays. Raises DataError when they do not fit the settings."""
        d, history, relative = recipe.dim, recipe.history, recipe.positions == "relative"

        def linear(name: str, suffix: object, size: int, out: int) -> Linear:
            return (shaped(arrays, f"{name}{suffix}", (size, out), recipe.name),
                    shaped(arrays, f"{name}_bias{suffix}", (out,), recipe.name))  # fmt: skip

        blocks = tuple(
            Block(
                linear("attend", number, d, 3 * d),
                linear("merge", number, d, d),
                linear("widen", number, d, recipe.units),
                linear("narrow", number, recipe.units, d),
                linear("gate_attention", number, d, d) if recipe.gates else None,
                linear("gate_feed", number, d, d) if recipe.gates else None,
                shaped(arrays, f"distances{number}", (recipe.heads, history), recipe.name) if relative else None,
            )
            for number in range(recipe.blocks)
        )
        distances = None
        if recipe.query == "last":
            final = tuple(shaped(arrays, name, (d,), recipe.name) for name in ("scale", "shift"))
        else:
            final = linear("mean", "", d, 2 * d)
            distances = shaped(arrays, "mean_distances", (1, history), recipe.name) if relative else None
        places = shaped(arrays, "places", (history, d), recipe.name) if recipe.positions == "learned" else None
        users, user_ids = None, None
        if "users" in arrays:
            user_ids = unpack_ids(arrays, "user")
            users = shaped(arrays, "users", (len(user_ids), d), recipe.name)
        rotation = shaped(arrays, "rotation", (d, d), recipe.name) if "rotation" in arrays else None
        return cls(recipe, arrays["items"], places, blocks, final, distances, users, user_ids, rotation)  # type: ignore[arg-type]

    def __call__(self, histories: Sessions) -> np.ndarray:
        queries = np.zeros((len(histories), self.recipe.dim), dtype=np.float32)
        for first in range(0, len(histories), BLOCK_SESSIONS):
            stop = min(first + BLOCK_SESSIONS, len(histories))
            self._encode(histories, first, stop, queries[first:stop])
        if self.rotation is not None:
            queries = queries @ self.rotation
        if self.users is not None and self.user_ids is not None and histories.users is not None:
            rows = self.user_ids.rows_of(histories.users)
            queries[rows >= 0] += self.users[rows[rows >= 0]]
        return queries

    def _encode(self, histories: Sessions, first: int, stop: int, queries: np.ndarray) -> None:
        """Histories first … stop − 1 → queries. A history that begins another one is computed with it."""
        lengths = np.minimum(histories.lengths[first:stop], self.recipe.history)
        starts = histories.offsets[first + 1 : stop + 1] - lengths
        whole, end_of = shared_prefixes(histories.items, starts, lengths)
        whole = whole[np.argsort(lengths[whole], kind="stable")]
        states = np.empty((0, 0), dtype=np.float32)
        for chosen in _blocks(whole, lengths):
            longest = int(lengths[chosen[-1]])
            place = np.arange(longest)
            index = starts[chosen][:, None] + np.minimum(place, lengths[chosen][:, None] - 1)
            states = self._states(histories.items[index])  # (m, l, d)
            wanted = np.flatnonzero(np.isin(end_of, chosen))
            row = np.searchsorted(chosen, end_of[wanted], sorter=np.argsort(chosen))
            queries[wanted] = states[np.argsort(chosen)[row], lengths[wanted] - 1]

    def _states(self, rows: np.ndarray) -> np.ndarray:
        """The query after each item of histories (m, l) of equal length: (m, l, d)."""
        m, length = rows.shape
        d = self.recipe.dim
        vectors = self.items[rows.reshape(-1)]  # (t, d)
        if self.rotation is not None:
            vectors = vectors @ self.rotation.T
        states = vectors * np.float32(d**0.5)
        if self.places is not None:
            states += np.tile(self.places[:length], (m, 1))
        for block in self.blocks:
            attend = _linear(_normalised(states), block.attend)
            mixed = _attention(attend, attend[:, 2 * d :], m, self.recipe.heads, block.distances)
            states += _gated(_linear(mixed, block.merge), states, block.gate_attention)
            hidden = _linear(_normalised(states), block.widen)
            states += _gated(_linear(np.maximum(hidden, 0, out=hidden), block.narrow), states, block.gate_feed)
        states = _normalised(states)
        if self.recipe.query == "last":
            return (states * self.final[0] + self.final[1]).reshape(m, length, d)
        return _attention(_linear(states, self.final), vectors, m, 1, self.distances).reshape(m, length, d)


def _attention(attend: np.ndarray, values: np.ndarray, m: int, heads: int, distances: np.ndarray | None) -> np.ndarray:
    """Causal attention (t, d) within m histories; `attend` (t, ≥ 2d) are queries and keys, `values` (t, d)."""
    d = values.shape[1]

    def split(part: np.ndarray) -> np.ndarray:
        return part.reshape(m, -1, heads, d // heads).transpose(0, 2, 1, 3)  # (m, heads, l, d / heads)

    q, k, v = split(attend[:, :d]), split(attend[:, d : 2 * d]), split(values)
    scores = q @ k.transpose(0, 1, 3, 2)
    scores *= np.float32((d // heads) ** -0.5)
    place = np.arange(scores.shape[-1])
    distance = place[:, None] - place[None, :]
    if distances is not None:
        scores += distances[:, np.maximum(distance, 0)]
    scores[..., distance < 0] = -np.inf
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return (scores @ v).transpose(0, 2, 1, 3).reshape(-1, d)


def _linear(x: np.ndarray, layer: Linear) -> np.ndarray:
    result = x @ layer[0]
    result += layer[1]
    return result


def _normalised(x: np.ndarray) -> np.ndarray:
    """Rows with mean 0 and variance 1."""
    result = x - x.mean(1, keepdims=True)
    variance = np.einsum("td,td->t", result, result) / x.shape[1]
    result *= (1 / np.sqrt(variance + EPSILON))[:, None]
    return result


def _gated(added: np.ndarray, x: np.ndarray, gate: Linear | None) -> np.ndarray:
    if gate is None:
        return added
    share = _linear(x, gate)
    share *= 0.5
    np.tanh(share, out=share)  # σ(x) = (1 + tanh(x / 2)) / 2, which cannot overflow
    share += 1
    share *= 0.5
    return added * share


def _blocks(order: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of histories in ascending order of length, of about BLOCK_TOKENS tokens; lengths differ by a quarter."""
    first = 0
    while first < len(order):
        shortest = lengths[order[first]]
        limit = np.searchsorted(lengths[order], shortest + shortest // 4, side="right")
        stop = min(limit, first + max(1, BLOCK_TOKENS // max(shortest, 1)))
        yield order[first:stop]
        first = stop


def shared_prefixes(items: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The histories that begin no other one (w,), and for each history (s,) the one of these that begins with it.

    Empty histories are left out: −1.
    """
    longest = int(lengths.max(initial=0))
    place = np.arange(longest)
    padded = np.where(place < lengths[:, None], items[starts[:, None] + np.minimum(place, lengths[:, None] - 1)], -1)
    order = np.lexsort(padded.T[::-1]) if longest else np.arange(len(lengths))
    ranked = padded[order]
    continued = np.ones(max(len(order) - 1, 0), dtype=bool)  # whether the next history begins with this one
    for column in range(longest):
        continued &= (ranked[:-1, column] == ranked[1:, column]) | (ranked[:-1, column] < 0)
    ends = np.append(~continued, True)[: len(order)]
    number = np.cumsum(ends) - ends  # of the history that each is computed with
    last = order[ends]
    end_of = np.empty(len(order), dtype=np.int64)
    end_of[order] = last[number] if len(order) else 0
    end_of[lengths == 0] = -1
    return last[lengths[last] > 0], end_of
