"""Digests of lists, vectors and ids, and their storage."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.data.topk import TopK
from embedrec.publish.digests import (
    StoredDigests,
    id_digests,
    list_digests,
    pack,
    pack_ids,
    unpack_ids,
    vector_digests,
    with_missing,
)
from embedrec.publish.encoded_ids import EncodedIds

IDS = st.lists(st.binary(max_size=40), unique=True, max_size=30)
VOCAB = Vocab(list("abcdef"))
DIGESTS = with_missing(id_digests(EncodedIds.of(VOCAB)))


@given(IDS)
def test_ids_have_their_own_digests(ids: list[bytes]) -> None:
    """They depend on the id only, not on the others."""
    digests = id_digests(EncodedIds.join(ids))
    assert len(set(digests.tolist())) == len(ids)
    assert digests.tolist() == [int(id_digests(EncodedIds.join([one]))[0]) for one in ids]


def test_digests_are_the_same_on_every_machine() -> None:
    """Stored digests are compared with those of later versions."""
    assert id_digests(EncodedIds.join([b"", b"a", "ä".encode()])).tolist() == [
        9441442522235856127, 4032860264706054405, 9556559778707069126,
    ]  # fmt: skip
    assert vector_digests(np.array([[1.0, -2.5]], np.float32)).tolist() == [3708610307940155392]


LISTS = st.lists(st.permutations(range(6)).flatmap(lambda p: st.integers(0, 6).map(lambda k: p[:k])), min_size=1)


@given(LISTS, st.integers(0, 3))
def test_lists_have_equal_digests_if_their_results_are_equal(lists: list[list[int]], padding: int) -> None:
    """Slow reference: the ids of the results; the width of the block does not matter."""
    k = 6 + padding
    rows = np.array([[*one, *[-1] * (k - len(one))] for one in lists])
    scores = np.where(rows >= 0, np.linspace(1, 0, k, dtype=np.float32), -np.inf)
    top = TopK(rows, scores, VOCAB)
    for scored in (False, True):
        digests = list_digests(DIGESTS, top, scores=scored).tolist()
        seen: dict[int, list[int]] = {}
        for one, digest in zip(lists, digests, strict=True):
            assert seen.setdefault(digest, one) == one
        assert len(seen) == len({tuple(one) for one in lists})
    other = TopK(rows, np.where(rows >= 0, scores * 2, -np.inf), VOCAB)
    assert (list_digests(DIGESTS, other, scores=False) == list_digests(DIGESTS, top, scores=False)).all()
    differs = list_digests(DIGESTS, other, scores=True) != list_digests(DIGESTS, top, scores=True)
    assert differs.tolist() == [len(one) > 0 for one in lists]


def test_vectors_that_differ_in_one_bit_have_other_digests() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    nearly = vectors.copy()
    nearly[:, 3] = np.nextafter(nearly[:, 3], np.float32(9))
    assert (vector_digests(vectors) != vector_digests(nearly)).all()
    assert (vector_digests(vectors[:, ::-1]) != vector_digests(vectors)).all()


@given(IDS, st.integers(1, 7), st.randoms(use_true_random=False))
def test_stored_digests_are_found(ids: list[bytes], size: int, random: Random) -> None:
    """Slow reference: a dictionary; some queries are at the same place, others at another, or unknown."""
    encoded = EncodedIds.join(ids)
    seeds, values = id_digests(encoded), np.arange(len(ids), dtype=np.uint64) * np.uint64(7)
    blocks = [slice(at, at + size) for at in range(0, len(ids), size)]
    stored = StoredDigests.unpack([pack(seeds[b], values[b]) for b in blocks])
    assert stored is not None and len(stored) == len(ids)
    packed = stored.counts, [pack_ids(encoded, np.arange(len(ids))[b]) for b in blocks]
    assert (
        unpack_ids(*packed, np.arange(len(ids))) == ids and unpack_ids(*packed, np.arange(len(ids))[1::3]) == ids[1::3]
    )
    second = np.arange(len(ids))[1::2]
    assert unpack_ids([len(second)], [pack_ids(encoded, second)], np.arange(len(second))) == ids[1::2]
    known = dict(zip(seeds.tolist(), range(len(ids)), strict=True))
    moved = seeds.tolist()
    random.shuffle(moved)
    for asked in (
        seeds.tolist(),
        moved,
        [*seeds[::2].tolist(), 5],
        [5, *seeds[2:].tolist()],
        [*seeds[1:].tolist(), 5],
        [],
    ):
        places = stored.find(np.array(asked, dtype=np.uint64)).tolist()
        assert places == [known.get(seed, -1) for seed in asked]
    assert (stored.values == values).all()


def test_equal_digests_of_two_seeds_are_of_no_use() -> None:
    seeds = np.array([3, 9, 3], np.uint64)
    assert StoredDigests.unpack([pack(seeds, seeds)]) is None
