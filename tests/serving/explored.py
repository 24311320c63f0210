"""A workspace for exploring: 60 items in three groups, with names, counts, features, models and indexes of vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embedrec.data.features import Categories, Features, Lists
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.models.serialization import load_model
from embedrec.models.session_knn.variants import SKNN
from embedrec.models.vector_model import VectorModel
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import save_vectors
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.train import import_vectors, train_model

GROUPS = ("river", "stone", "cloud")
SIZE = 20  # items of a group
N = len(GROUPS) * SIZE
HOSTILE = {
    3: '<script>document.title = "broken"</script>',
    4: "\"quoted\" & 'single'",
    5: "שלום עולם",
    6: "a" * 120,
}
IDS = [f"item:{n}" for n in range(N)]
NAMES = [HOSTILE.get(n, f"{GROUPS[n // SIZE]} {n}") for n in range(N)]


def item_vocab() -> Vocab:
    """The items; those of a group are in a run, and the first of each is the most frequent."""
    return Vocab(np.array(IDS, dtype=object), np.array(NAMES, dtype=object))


def item_features(vocab: Vocab) -> Features:
    """The group and a year of each item, and tags of some."""
    groups = Categories(np.repeat(np.arange(3), SIZE).astype(np.int32), np.array(GROUPS, dtype=object))
    years = 1990 + np.arange(N, dtype=np.float64)
    years[7] = np.nan
    tags = Lists(np.minimum(np.arange(N + 1), 30), np.arange(30, dtype=np.int32) % 2, np.array(["old", "new"], object))
    return Features(vocab, {"year": years}, {"group": groups}, {"tag": tags})


def past_sessions() -> Sessions:
    """240 sessions of six items of one group each; items at its start occur more often."""
    rng = np.random.default_rng(1)
    weights = 1 / np.arange(1, SIZE + 1)
    lists = [rng.choice(SIZE, 6, replace=False, p=weights / weights.sum()) + s % 3 * SIZE for s in range(240)]
    vocab = item_vocab()
    items = np.concatenate(lists).astype(np.int32)
    vocab = vocab.with_counts(np.bincount(items, minlength=N))
    times = 1_700_000_000_000 + np.arange(len(items)) * 60_000
    offsets = np.arange(0, len(items) + 1, 6)
    return Sessions(offsets, items, vocab, np.arange(240), times=times, item_features=item_features(vocab))


def make_explored(root: Path) -> Workspace:
    """Sessions "past", models "cooccurrence", "sknn", "mf" and "imported", indexes "flat" of mf and "new" of imported.

    The vectors imported are those of mf but that items 10 and 30 change places, and that item 59 is missing.
    """
    workspace = Workspace(root)
    past_sessions().save(workspace.folder("sessions", "past"), {})
    source = workspace.find("sessions", "past")
    for recipe in (Cooccurrence(), SKNN(), MatrixFactorisation(dim=8, epochs=5)):
        train_model(recipe, source, workspace.folder("model", recipe.name))
    model = load_model(workspace.find("model", "mf"))
    assert isinstance(model, VectorModel)
    order = np.arange(len(model.vocab))
    ten, thirty, last = model.vocab.rows(["item:10", "item:30", "item:59"]).tolist()
    order[ten], order[thirty] = thirty, ten
    kept = np.flatnonzero(order != last)
    file = root / "vectors.parquet"
    vectors = np.asarray(model.embeddings.vectors)[order][kept]
    save_vectors(Embeddings(vectors, model.vocab.take(kept), model.embeddings.metric), file)
    imported = import_vectors(file, workspace.folder("model", "imported"), metric=model.embeddings.metric)
    for built, name in ((workspace.find("model", "mf"), "flat"), (imported, "new")):
        build_index_artifact(built, workspace.folder("index", name), IndexSettings("flat"))
    return workspace
