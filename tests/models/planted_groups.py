"""Sessions of planted groups of items, and the measure of how well a model finds them."""

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab

GROUPS, SIZE = 8, 12


def clusters(seed=0, count=600, length=8):
    """Sessions that each stay in one of GROUPS groups of SIZE items (9 of 10 times); item i is in group i // SIZE."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, GROUPS, count)
    items = group[:, None] * SIZE + rng.integers(0, SIZE, (count, length))
    strangers = rng.integers(0, GROUPS * SIZE, items.shape)
    items = np.where(rng.random(items.shape) < 0.1, strangers, items).astype(np.int32)
    sessions = Sessions(
        np.arange(0, items.size + 1, length), items.ravel(), Vocab(np.arange(GROUPS * SIZE)), np.arange(count)
    )
    for array in (sessions.offsets, sessions.items, sessions.ids, sessions.vocab.ids):
        array.flags.writeable = False
    return sessions


def purity(model):
    """The share of each item's ten nearest that belong to its group."""
    v = model.embeddings.vectors / np.linalg.norm(model.embeddings.vectors, axis=1, keepdims=True)
    near = np.argsort(-(v @ v.T) + 9 * np.eye(len(v)), axis=1)[:, :10]
    group = model.vocab.ids // SIZE
    return (group[near] == group[:, None]).mean()
