"""Draws: uniform, independent of threads, in proportion to the given weights."""

import numpy as np
import pytest
from numba import njit
from scipy.stats import chisquare

from embedrec.kernels.sampling import (
    STEP,
    alias_table,
    keep_probabilities,
    mix,
    noise_weights,
    pick,
    random_below,
    stream,
)

SPLITMIX_OF_0 = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]  # published test vector, seed 0


@njit
def picks(n, seed, threshold, other):
    counts, now = np.zeros(threshold.shape[0], np.int64), stream(seed, 0, 0)
    for _ in range(n):
        now += STEP
        counts[pick(mix(now), threshold, other)] += 1
    return counts


def test_mix_is_splitmix64():
    assert [int(mix(np.uint64(int(STEP) * t % 2**64))) for t in (1, 2, 3)] == SPLITMIX_OF_0


def test_streams_differ_by_seed_epoch_and_session():
    streams = {int(stream(seed, epoch, session)) for seed in range(9) for epoch in range(9) for session in range(9)}
    assert len(streams) == 9**3


def test_random_below_covers_exactly_its_range():
    rows = [random_below(np.uint64(mix(np.uint64(t))), 7) for t in range(700)]
    assert set(rows) == set(range(7))


@pytest.mark.parametrize("exponent", [0.75, 0.0, -0.5, 1.0, -1.0])
def test_negatives_follow_the_exponent(exponent):
    counts = np.array([1, 5, 0, 20, 300, 7, 0, 64])
    weights = noise_weights(counts, exponent)
    drawn = picks(200_000, 5, *alias_table(weights))
    present = counts > 0
    expected = counts[present].astype(float) ** exponent
    assert drawn[~present].sum() == 0
    assert chisquare(drawn[present], expected / expected.sum() * 200_000).pvalue > 1e-3


def test_extreme_exponents_stay_finite():
    counts = np.array([1, 10, 10**9])
    assert noise_weights(counts, -100.0).tolist() == pytest.approx([1, 0, 0])
    assert noise_weights(counts, 100.0).tolist() == pytest.approx([0, 0, 1])
    assert picks(1000, 0, *alias_table(noise_weights(counts, 100.0))).tolist() == [0, 0, 1000]


def test_alias_table_of_a_single_item():
    assert picks(100, 0, *alias_table(np.array([3.0]))).tolist() == [100]


def test_keep_probabilities_equal_those_of_gensim():
    from gensim.models import Word2Vec

    counts = np.array([500, 100, 20, 5, 1])
    sentences = [[str(i)] * int(c) for i, c in enumerate(counts)]
    theirs = Word2Vec(sentences, vector_size=2, min_count=1, sample=0.01, epochs=1)
    expected = [theirs.wv.get_vecattr(str(i), "sample_int") / 2**32 for i in range(5)]
    assert keep_probabilities(counts, 0.01) == pytest.approx(expected, abs=1e-6)


def test_sample_0_keeps_everything():
    assert keep_probabilities(np.array([5, 0, 1000]), 0.0).tolist() == [1, 1, 1]
