"""Skip-gram and CBOW with negative sampling over sessions (Mikolov et al. 2013a, 2013b; Barkan & Koenigstein 2016).

`plan` makes all random decisions for a range of sessions, `skipgram` and `cbow` do the arithmetic. A plan consists of
plain arrays, so that many threads can train on it in place (Niu et al. 2011, "hogwild"), or one on copies of the rows
that it touches.

Negatives are drawn for a *tile* of adjacent centres rather than for each pair. Every pair still has the weight of
`negative` negatives: a centre with C contexts is paired with P drawn rows of weight negative · C / P. Rows are then
read from memory once a tile instead of `negative` times a pair.
"""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.row_blas import dot4, step4
from embedrec.kernels.sampling import STEP, mix, pick, random_below, stream

# Measured on playlists and listening sessions: larger tiles are faster but lower the quality.
TILE_PAIRS, TILE_CENTRES = 40, 8  # the most pairs and centres that share one set of negatives

FILLERS = 3  # padding rows after the last item's, see `_train_row`

_RANGE, _STEPS = 8.0, 4096
_logits = (np.arange(_STEPS) + 0.5) * (2 * _RANGE / _STEPS) - _RANGE
SIGMOID = np.stack([1 / (1 + np.exp(-_logits)), np.log1p(np.exp(_logits))], axis=1).astype(np.float32)
"""(4096, 2) float32: σ(f) and log(1 + exp f) for f in −8 … 8."""

_UNIT = 1.0 / 9007199254740992.0  # 2⁻⁵³
_11 = np.uint64(11)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def plan(  # type: ignore[no-untyped-def]
    offsets,
    items,
    start,
    stop,
    seed,
    epoch,
    window,
    shrink,
    shuffle,
    negative,
    heaviest,
    shared,
    keep,
    threshold,
    other,
):
    """Make the random decisions for sessions start … stop − 1 of an epoch.

    offsets, items    the sessions: (S+1,) int64, (E,) int32
    window            items on each side; 0 for the whole session
    shrink            whether each centre draws its own window from 1 … window
    shuffle           whether to shuffle the items of each session
    negative          negatives a pair
    heaviest          greatest weight of one negative, in pairs; more negatives are drawn where it does not suffice
    shared            whether a negative is shared by all pairs of a centre (skip-gram); CBOW has one pair a centre
    keep              (n,) float32 probability that a mention is kept
    threshold, other  (n,) the alias table of negatives

    Returns k kept mentions in t tiles:
    centre  (k,) int32 rows
    left, right  (k,) int32: contexts of i are centre[left[i] … right[i] − 1] except i itself
    tiles   (t+1,) int32: tile j holds centres tiles[j] … tiles[j + 1] − 1, all of one session
    session (t,) int32: the session of a tile
    drawn   (t+1,) int64: negatives of tile j are noise[drawn[j] … drawn[j + 1] − 1]
    noise   (p,) int32 rows
    """
    most = offsets[stop] - offsets[start]
    centre, left, right = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    tiles, session = np.zeros(most + 1, np.int32), np.empty(most, np.int32)
    drawn, state = np.zeros(most + 1, np.int64), np.empty(stop - start, np.uint64)
    k, t = 0, 0
    for s in range(start, stop):
        now = stream(seed, epoch, s)
        first = k
        for p in range(offsets[s], offsets[s + 1]):
            if keep[items[p]] < 1.0:
                now += STEP
                if (mix(now) >> _11) * _UNIT >= keep[items[p]]:
                    continue
            centre[k] = items[p]
            k += 1
        if k - first < 2:  # no pair
            k = first
        length = k - first
        if shuffle:
            for i in range(length - 1, 0, -1):
                now += STEP
                j = random_below(mix(now), i + 1)
                centre[first + i], centre[first + j] = centre[first + j], centre[first + i]
        reach = length - 1
        for i in range(first, k):
            left[i], right[i] = first, k
            if window > 0:
                wide = window
                if shrink:
                    now += STEP
                    wide = 1 + random_below(mix(now), window)
                left[i], right[i] = max(first, i - wide), min(k, i + wide + 1)
        if window > 0:
            reach = min(reach, window + 1 if shrink else 2 * window)
        if not shared:
            reach = 1
        size = max(1, min(TILE_CENTRES, TILE_PAIRS // max(1, reach)))
        needed = max(negative, (negative * reach + heaviest - 1) // heaviest)
        for i in range(first, k, size):
            session[t] = s
            t += 1
            tiles[t] = min(i + size, k)
            drawn[t] = drawn[t - 1] + needed
        state[s - start] = now
    noise = np.empty(drawn[t], np.int32)
    now, last = np.uint64(0), -1
    for j in range(t):
        if session[j] != last:
            last = session[j]
            now = state[last - start]
        for p in range(drawn[j], drawn[j + 1]):
            now += STEP
            noise[p] = pick(mix(now), threshold, other)
    return centre[:k], left[:k], right[:k], tiles[: t + 1], session[:t], drawn[: t + 1], noise


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _look_up(f, table):  # type: ignore[no-untyped-def]
    """σ(f) and log(1 + exp f) by the table, or their limits beyond its range."""
    if f >= np.float32(_RANGE):
        return np.float32(1.0), f
    i = int((f + np.float32(_RANGE)) * np.float32(_STEPS / (2 * _RANGE)))
    i = max(0, min(_STEPS - 1, i))
    return table[i, 0], table[i, 1]


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _train4(x, i, y, a, b, c, e, goal, weight, at, rate, table):  # type: ignore[no-untyped-def]
    """One gradient step of row i of x with rows a, b, c, e of y; goal and weight from index `at`. Returns the loss."""
    fa, fb, fc, fe = dot4(x, i, y, a, b, c, e)
    sa, la = _look_up(fa, table)
    sb, lb = _look_up(fb, table)
    sc, lc = _look_up(fc, table)
    se, le = _look_up(fe, table)
    ga, gb, gc, ge = goal[at], goal[at + 1], goal[at + 2], goal[at + 3]
    wa, wb, wc, we = weight[at], weight[at + 1], weight[at + 2], weight[at + 3]
    ra, rb, rc, re = (
        rate * wa * (ga - sa),
        rate * wb * (gb - sb),
        rate * wc * (gc - sc),
        rate * we * (ge - se),
    )
    step4(x, i, y, a, b, c, e, ra, rb, rc, re)
    return wa * (la - ga * fa) + wb * (lb - gb * fb) + wc * (lc - gc * fc) + we * (le - ge * fe)


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _train_row(x, i, y, target, goal, weight, m, rate, table):  # type: ignore[no-untyped-def]
    """Gradient steps of row i of x with the first m targets, four at a time. Returns the loss.

    The last `FILLERS` rows of y are padding of weight 0: they complete the last group of four, and replace the other
    rows of a group that contains a row twice, whose rows are then processed one by one. The arrays have m + 8 elements
    or more.
    """
    filler = y.shape[0] - FILLERS
    for f in range(-m % 4):
        target[m + f], goal[m + f], weight[m + f] = filler + f, 0.0, 0.0
    m += -m % 4
    for f in range(FILLERS):
        target[m + 1 + f], goal[m + 1 + f], weight[m + 1 + f] = filler + f, 0.0, 0.0
    loss = 0.0
    for at in range(0, m, 4):
        a, b, c, e = target[at], target[at + 1], target[at + 2], target[at + 3]
        if a != b and a != c and a != e and b != c and b != e and c != e:
            loss += _train4(x, i, y, a, b, c, e, goal, weight, at, rate, table)
        else:
            for one in range(at, at + 4):
                if weight[one] > 0.0:
                    target[m], goal[m], weight[m] = target[one], goal[one], weight[one]
                    loss += _train4(x, i, y, target[m], filler, filler + 1, filler + 2, goal, weight, m, rate, table)
    return loss


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def skipgram(x, y, centre, left, right, tiles, drawn, noise, rate, negative, table):  # type: ignore[no-untyped-def]
    """Train on a plan in place: every centre's input vector with its contexts and negatives.

    x      (≥ n, w) float32 input vectors, written
    y      (≥ n + FILLERS, w) float32 output vectors, written; the last FILLERS rows are and stay 0
    centre, left, right, tiles, drawn, noise   see `plan`; rows of x and y
    rate   (t,) float32 learning rate of each tile
    table  `SIGMOID`

    Returns the loss, summed over pairs (a pair's loss: −log σ of its own dot product, and `negative` times the mean of
    −log σ(−dot) over the centre's negatives), and the number of pairs.
    """
    most = 0
    for j in range(tiles.shape[0] - 1):
        for i in range(tiles[j], tiles[j + 1]):
            most = max(most, right[i] - left[i] + drawn[j + 1] - drawn[j])
    target, goal = np.empty(most + 8, np.int64), np.empty(most + 8, np.float32)
    weight = np.empty(most + 8, np.float32)
    loss, pairs = 0.0, 0
    for j in range(tiles.shape[0] - 1):
        first, stop = drawn[j], drawn[j + 1]
        for i in range(tiles[j], tiles[j + 1]):
            m = 0
            for c in range(left[i], right[i]):
                if c != i:
                    target[m], goal[m], weight[m] = centre[c], 1.0, 1.0
                    m += 1
            contexts = m
            for p in range(first, stop):
                same = 0  # a context is not its own negative
                for c in range(contexts):
                    same += target[c] == noise[p]
                if same < contexts:
                    target[m], goal[m] = noise[p], 0.0
                    weight[m] = np.float32(negative * (contexts - same) / (stop - first))
                    m += 1
            loss += _train_row(x, np.int64(centre[i]), y, target, goal, weight, m, rate[j], table)
            pairs += contexts
    return loss, pairs


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def cbow(x, y, centre, left, right, tiles, drawn, noise, rate, negative, table):  # type: ignore[no-untyped-def]
    """Train on a plan in place: the mean of the contexts' input vectors with the centre and negatives.

    Arguments and result are those of `skipgram`; a centre is one pair. As in the word2vec code, each context takes the
    whole step of the mean, not its share.
    """
    width = x.shape[1]
    most = 0
    for j in range(tiles.shape[0] - 1):
        most = max(most, drawn[j + 1] - drawn[j])
    target, goal = np.empty(most + 9, np.int64), np.empty(most + 9, np.float32)
    weight = np.empty(most + 9, np.float32)
    mean, before = np.empty((1, width), np.float32), np.empty(width, np.float32)
    loss, pairs = 0.0, 0
    for j in range(tiles.shape[0] - 1):
        first, stop = drawn[j], drawn[j + 1]
        for i in range(tiles[j], tiles[j + 1]):
            for k in range(width):
                before[k] = 0.0
            for c in range(left[i], right[i]):
                if c != i:
                    for k in range(width):
                        before[k] += x[centre[c], k]
            for k in range(width):
                before[k] /= np.float32(right[i] - left[i] - 1)
                mean[0, k] = before[k]
            target[0], goal[0], weight[0] = centre[i], 1.0, 1.0
            m = 1
            for p in range(first, stop):
                if noise[p] != centre[i]:
                    target[m], goal[m], weight[m] = noise[p], 0.0, np.float32(negative / (stop - first))
                    m += 1
            loss += _train_row(mean, 0, y, target, goal, weight, m, rate[j], table)
            for c in range(left[i], right[i]):
                if c != i:
                    for k in range(width):
                        x[centre[c], k] += mean[0, k] - before[k]
            pairs += 1
    return loss, pairs
