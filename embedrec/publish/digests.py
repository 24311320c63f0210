"""Digests of what is published: which lists and vectors differ from those of a generation that a target holds.

A digest has 64 bits: the sum of the bytes or numbers, each multiplied by a fixed odd number of its place (multilinear
hashing; Carter & Wegman 1979). Two different lists have equal digests with a probability of about 2 ** -57 or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from embedrec.data.topk import TopK
from embedrec.publish.encoded_ids import EncodedIds

_IDS, _RESULTS, _SCORES, _VECTORS = 1, 2, 3, 4  # seeds of the multipliers; a change makes all stored digests differ
_BLOCK = 4096  # ids digested at a time


@lru_cache(maxsize=16)
def _multipliers(seed: int, count: int) -> np.ndarray:
    """(count,) odd uint64: the raw numbers of PCG64, which are the same in every version of NumPy."""
    return np.random.PCG64(seed).random_raw(count) | np.uint64(1)


def id_digests(ids: EncodedIds) -> np.ndarray:
    """The digests (n,) uint64 of ids."""
    lengths, data = ids.lengths, np.frombuffer(ids.data, np.uint8)
    weights = _multipliers(_IDS, int(lengths.max(initial=0)) + 1)
    result = (lengths.astype(np.uint64) + np.uint64(1)) * weights[0]
    for size in np.unique(lengths).tolist():
        places = np.flatnonzero(lengths == size)
        for start in range(0, len(places) if size else 0, _BLOCK):
            part = places[start : start + _BLOCK]
            if part[-1] - part[0] == len(part) - 1:
                letters = data[ids.offsets[part[0]] : ids.offsets[part[-1] + 1]].reshape(-1, size)
            else:
                letters = data[ids.offsets[part][:, None] + np.arange(size)]  # (b, size)
            result[part] += letters.astype(np.uint64) @ weights[1 : size + 1]
    return result


def with_missing(results: np.ndarray) -> np.ndarray:
    """The digests (n,) of the ids of results, and that of the row −1, a missing result: (n + 1,)."""
    return np.append(results, np.uint64(0))


def list_digests(results: np.ndarray, lists: TopK, *, scores: bool) -> np.ndarray:
    """The digests (b,) uint64 of lists (b, k).

    results  (n + 1,) digests of the ids of all results, see `with_missing`
    scores   whether lists with other scores are different
    """
    total: np.ndarray = results.take(lists.rows) @ _multipliers(_RESULTS, lists.k)
    if scores:
        bits = np.where(lists.rows >= 0, lists.scores, np.float32(0)).astype("<f4").view("<u4")
        total += bits.astype(np.uint64) @ _multipliers(_SCORES, lists.k)
    return total


def vector_digests(vectors: np.ndarray) -> np.ndarray:
    """The digests (b,) uint64 of vectors (b, d)."""
    bits = np.ascontiguousarray(vectors, "<f4").view("<u4")
    total: np.ndarray = bits.astype(np.uint64) @ _multipliers(_VECTORS, bits.shape[1])
    return total


def pack(seeds: np.ndarray, values: np.ndarray) -> bytes:
    """Digests of seeds (b,) and of their entries (b,), as bytes that a target stores."""
    return seeds.astype("<u8").tobytes() + values.astype("<u8").tobytes()


def pack_ids(ids: EncodedIds, rows: np.ndarray) -> bytes:
    """The ids of rows (m,), in ascending order, as bytes that a target stores."""
    starts, ends = ids.offsets[:-1][rows], ids.offsets[1:][rows]
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
        data = ids.data[starts[0] : ends[-1]]
    else:
        data = b"".join(ids.take(rows))
    return (ends - starts).astype("<u4").tobytes() + data


def unpack_ids(counts: Sequence[int], blocks: Sequence[bytes], places: np.ndarray) -> list[bytes]:
    """The ids at places (m,) of blocks of `pack_ids`, which have `counts` ids each; in the order of the blocks."""
    result: list[bytes] = []
    first = 0
    for count, data in zip(counts, blocks, strict=True):
        ends = 4 * count + np.cumsum(np.frombuffer(data, "<u4", count)).astype(np.int64)
        starts = np.concatenate([[4 * count], ends])
        chosen = places[(places >= first) & (places < first + count)] - first
        result += [data[a:b] for a, b in zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True)]
        first += count
    return result


@dataclass(frozen=True, eq=False)
class StoredDigests:
    """The digests of the m entries of a generation, in the order in which they are stored.

    seeds   (m,) uint64, each once
    values  (m,) uint64, of the entries
    counts  of the entries of each block
    """

    seeds: np.ndarray
    values: np.ndarray
    counts: Sequence[int]

    @classmethod
    def unpack(cls, blocks: Sequence[bytes]) -> StoredDigests | None:
        """The digests of all blocks of `pack`; None if two seeds have the same one."""
        halves = [np.frombuffer(block, "<u8").reshape(2, -1) for block in blocks]
        seeds, values = np.concatenate([np.empty((2, 0), np.uint64), *halves], axis=1)
        ordered = np.sort(seeds)
        return None if (ordered[1:] == ordered[:-1]).any() else cls(seeds, values, [h.shape[1] for h in halves])

    def __len__(self) -> int:
        return len(self.seeds)

    def find(self, seeds: np.ndarray) -> np.ndarray:
        """The places (n,) int64 of seeds (n,), −1 for those that the generation does not have.

        Seeds that are at the same place as in the generation need no search.
        """
        places = np.full(len(seeds), -1)
        both = min(len(seeds), len(self))
        same = np.flatnonzero(seeds[:both] == self.seeds[:both])
        places[same] = same
        left = np.ones(len(self), dtype=bool)
        left[same] = False
        stored, missing = np.flatnonzero(left), np.flatnonzero(places < 0)
        if not len(stored) or not len(missing):
            return places
        stored = stored[np.argsort(self.seeds[stored])]
        missing = missing[np.argsort(seeds[missing])]  # a search in ascending order finds what it reads in the cache
        at = stored[np.minimum(np.searchsorted(self.seeds[stored], seeds[missing]), len(stored) - 1)]
        equal = self.seeds[at] == seeds[missing]
        places[missing[equal]] = at[equal]
        return places
