"""The kernels against a slow reference with the same draws, and against finite differences of the loss."""

import numpy as np
import pytest

from embedrec.kernels.row_blas import padded
from embedrec.kernels.sampling import alias_table, keep_probabilities, noise_weights
from embedrec.kernels.skipgram import (
    FILLERS,
    SIGMOID,
    TILE_CENTRES,
    TILE_PAIRS,
    cbow,
    plan,
    skipgram,
)

MASK, STEP = 2**64 - 1, 0x9E3779B97F4A7C15
N, NEGATIVE, HEAVIEST = 12, 5, 4
KERNELS = {"skip-gram": skipgram, "cbow": cbow}


class Draws:
    """The stream of a session in plain Python integers."""

    def __init__(self, seed, epoch, session):
        inner = self.mix(epoch + STEP * self.mix(session + STEP))
        self.counter = self.mix(seed + STEP * inner)

    @staticmethod
    def mix(z):
        z &= MASK
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        return z ^ (z >> 31)

    def bits(self):
        self.counter = (self.counter + STEP) & MASK
        return self.mix(self.counter)

    def below(self, n):
        return (self.bits() >> 32) * n >> 32

    def uniform(self):
        return (self.bits() >> 11) / 2**53


def slow_plan(sessions, seed, epoch, window, shrink, shuffle, shared, keep, threshold, other):
    """A list of tiles; a tile is its centres [(item, contexts)] and its negatives."""
    tiles = []
    for s, session in enumerate(sessions):
        draws = Draws(seed, epoch, s)
        kept = [i for i in session if keep[i] >= 1 or draws.uniform() < keep[i]]
        if len(kept) < 2:
            continue
        if shuffle:
            for i in range(len(kept) - 1, 0, -1):
                j = draws.below(i + 1)
                kept[i], kept[j] = kept[j], kept[i]
        centres = []
        for i, item in enumerate(kept):
            wide = len(kept) if window == 0 else 1 + draws.below(window) if shrink else window
            centres.append((item, kept[max(0, i - wide) : i] + kept[i + 1 : i + 1 + wide]))
        reach = len(kept) - 1
        if window:
            reach = min(reach, window + 1 if shrink else 2 * window)
        reach = reach if shared else 1
        size = max(1, min(TILE_CENTRES, TILE_PAIRS // reach))
        for t in range(0, len(centres), size):
            noise = []
            for _ in range(max(NEGATIVE, -(-NEGATIVE * reach // HEAVIEST))):
                bits = draws.bits()
                row = (bits >> 32) * N >> 32
                noise.append(row if bits & 0xFFFFFFFF < threshold[row] else int(other[row]))
            tiles.append((centres[t : t + size], noise))
    return tiles


def terms(contexts, noise):
    """(row, goal, weight) of a skip-gram centre."""
    out = [(c, 1.0, 1.0) for c in contexts]
    for row in noise:
        count = sum(c != row for c in contexts)
        if count:
            out.append((row, 0.0, NEGATIVE * count / len(noise)))
    return out


def slow_steps(x, y, targets, rate):
    """Steps of the vector x (written) against (row, goal, weight) targets, four at a time; the loss."""
    loss = 0.0
    for at in range(0, len(targets), 4):
        four = targets[at : at + 4]
        twice = len({row for row, _, _ in four}) < len(four)
        for group in [[one] for one in four] if twice else [four]:
            dots = [x @ y[row] for row, _, _ in group]
            loss += sum(w * (np.logaddexp(0, f) - g * f) for f, (_, g, w) in zip(dots, group, strict=True))
            steps = [rate * w * (g - 1 / (1 + np.exp(-f))) for f, (_, g, w) in zip(dots, group, strict=True)]
            old = x.copy()
            x += sum(s * y[row] for s, (row, _, _) in zip(steps, group, strict=True))
            for s, (row, _, _) in zip(steps, group, strict=True):
                y[row] = y[row] + s * old
    return loss


def slow_learn(architecture, x, y, tiles, rate):
    """Learn tiles in place; loss and number of pairs."""
    loss, pairs = 0.0, 0
    for centres, noise in tiles:
        for item, contexts in centres:
            if architecture == "skip-gram":
                loss += slow_steps(x[item], y, terms(contexts, noise), rate)
                pairs += len(contexts)
            else:
                mean = x[contexts].mean(axis=0)
                before = mean.copy()
                negatives = [(row, 0.0, NEGATIVE / len(noise)) for row in noise if row != item]
                loss += slow_steps(mean, y, [(item, 1.0, 1.0), *negatives], rate)
                for c in contexts:
                    x[c] += mean - before
                pairs += 1
    return loss, pairs


@pytest.fixture
def world():
    rng = np.random.default_rng(3)
    lengths = [4, 0, 1, 9, 2, 30, 3]
    sessions = [rng.integers(0, N - 1, length).tolist() for length in lengths]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    items = np.array([i for s in sessions for i in s], dtype=np.int32)
    counts = np.bincount(items, minlength=N)
    tables = (keep_probabilities(counts, 0.05), *alias_table(noise_weights(counts, 0.75)))
    for array in (offsets, items, *tables):
        array.flags.writeable = False
    return sessions, offsets, items, tables


def vectors(dim, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.4, (2, N, dim)).astype(np.float32)


CASES = [(0, False, False), (0, False, True), (3, True, False), (2, False, True), (50, True, True)]


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize(("window", "shrink", "shuffle"), CASES)
def test_the_kernel_equals_a_slow_loop(world, architecture, window, shrink, shuffle):
    sessions, offsets, items, tables = world
    shared = architecture == "skip-gram"
    args = (window, shrink, shuffle)
    centre, left, right, tiles, _, drawn, noise = plan(
        offsets, items, 0, len(sessions), 11, 2, *args, NEGATIVE, HEAVIEST, shared, *tables
    )
    slow = slow_plan(sessions, 11, 2, *args, shared, *tables)
    assert noise.tolist() == [row for _, negatives in slow for row in negatives]
    assert centre.tolist() == [item for centres, _ in slow for item, _ in centres]
    assert len(centre) < len(items)  # sub-sampling took part
    start = vectors(21)
    x, y = padded(start[0], N), padded(start[1], N + FILLERS)
    rate = np.full(len(tiles) - 1, 0.03, np.float32)
    loss, pairs = KERNELS[architecture](x, y, centre, left, right, tiles, drawn, noise, rate, NEGATIVE, SIGMOID)
    x2, y2 = start.astype(np.float64)
    slow_loss, slow_pairs = slow_learn(architecture, x2, y2, slow, 0.03)
    assert pairs == slow_pairs
    assert loss == pytest.approx(slow_loss, rel=2e-3)
    assert np.abs(x2 - start[0]).max() > 0.05  # something was learned
    assert x[:, :21] == pytest.approx(x2, abs=2e-3)
    assert y[:N, :21] == pytest.approx(y2, abs=2e-3)
    assert not y[N:].any() and not x[:, 21:].any() and not y[:, 21:].any()  # padding stays zero


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_step_is_the_gradient_of_the_loss(architecture):
    sessions, shared = [[0, 1, 2], [3, 4, 5]], architecture == "skip-gram"
    offsets, items = np.array([0, 3, 6]), np.arange(6, dtype=np.int32)
    tables = (np.ones(N, np.float32), *alias_table(np.ones(N)))
    made = plan(offsets, items, 0, 2, 0, 0, 0, False, False, NEGATIVE, HEAVIEST, shared, *tables)
    centre, left, right, tiles, _, drawn, noise = made
    start = vectors(5)
    x, y = padded(start[0], N), padded(start[1], N + FILLERS)
    h = 1e-3
    rate = np.full(len(tiles) - 1, h, np.float32)
    KERNELS[architecture](x, y, centre, left, right, tiles, drawn, noise, rate, NEGATIVE, SIGMOID)
    step = np.stack([x[:, :5] - start[0], y[:N, :5] - start[1]]) / h
    slow = slow_plan(sessions, 0, 0, 0, False, False, shared, *tables)

    def loss(both):
        return slow_learn(architecture, both[0].copy(), both[1].copy(), slow, 0.0)[0]

    gradient = np.zeros_like(step, dtype=np.float64)
    for at in np.ndindex(gradient.shape):
        bump = np.zeros(gradient.shape)
        bump[at] = 1e-5
        gradient[at] = (loss(start + bump) - loss(start - bump)) / 2e-5
    if architecture == "cbow":
        gradient[0] *= 2  # each of two contexts takes the whole step of their mean
    assert np.abs(gradient).max() > 0.5
    assert step == pytest.approx(-gradient, abs=0.02)


def test_draws_of_a_session_do_not_depend_on_the_block(world):
    _, offsets, items, tables = world
    together = plan(offsets, items, 0, 7, 5, 1, 3, True, True, NEGATIVE, HEAVIEST, True, *tables)
    apart = [plan(offsets, items, s, s + 1, 5, 1, 3, True, True, NEGATIVE, HEAVIEST, True, *tables) for s in range(7)]
    for part in (0, 6):
        assert together[part].tolist() == np.concatenate([p[part] for p in apart]).tolist()


def test_subsampling_keeps_the_expected_share():
    counts = np.array([9000, 1000])
    items = np.repeat(np.arange(2, dtype=np.int32), counts)
    keep = keep_probabilities(counts, 0.01)
    made = plan(np.array([0, 10_000]), items, 0, 1, 0, 0, 1, False, False, 1, 1, True, keep, *alias_table(np.ones(2)))
    kept = np.bincount(made[0], minlength=2)
    spread = np.sqrt(counts * keep * (1 - keep))
    assert (np.abs(kept - counts * keep) < 4 * spread).all()


def test_long_sessions_are_not_cut():
    items = np.arange(30_000, dtype=np.int32) % N
    tables = (np.ones(N, np.float32), *alias_table(np.ones(N)))
    made = plan(np.array([0, 30_000]), items, 0, 1, 0, 0, 2, False, False, 5, 9, True, *tables)
    assert made[0].tolist() == items.tolist()
    assert (made[1][-1], made[2][-1]) == (29_997, 30_000)
