"""New items of word2vec: only their rows learn."""

from __future__ import annotations

import dataclasses

import numpy as np

from embedrec import Word2Vec
from embedrec.models.context_smoothing import mean_contexts
from embedrec.models.frozen import NewItems, extend_frozen
from embedrec.models.word2vec.new_items import solve_new_items
from embedrec.models.word2vec.settings import WordVectors
from embedrec.progress import quiet
from tests.models.test_frozen import NEW, sessions_with_new_items
from tests.training.toy import clustered_sessions

SETTINGS = Word2Vec(dim=8, epochs=10, min_count=1, sample=0.0)


def test_every_matrix_keeps_its_old_rows() -> None:
    model, sessions = SETTINGS.fit(clustered_sessions()), sessions_with_new_items()
    extended = extend_frozen(model, sessions)
    rows = model.vocab.rows_of(extended.vocab.ids)
    old = rows >= 0
    for name in ("input", "output", "context", "mentions"):
        assert extended.arrays[name][old].tobytes() == model.arrays[name][rows[old]].tobytes()
    trained = WordVectors(extended.arrays["input"], extended.arrays["output"]).trained("sum")
    contexts = mean_contexts(sessions.reindex(extended.vocab), trained, SETTINGS.window)
    np.testing.assert_allclose(extended.arrays["context"][~old], contexts.mean[~old], atol=1e-6)
    assert extended.arrays["mentions"][~old].tolist() == [20, 20]
    assert extended.arrays["most_mentions"].tolist() == [model.arrays["mentions"].max()]


def test_norms_stay_when_the_most_mentioned_item_leaves() -> None:
    model, sessions = SETTINGS.fit(clustered_sessions()), sessions_with_new_items()
    most = model.vocab.ids[int(model.arrays["mentions"].argmax())]
    left = sessions.filter_events(sessions.vocab.ids[sessions.items] != most).drop_unused_items()
    extended = extend_frozen(model, left)
    assert most not in extended.vocab.ids
    rows = model.vocab.rows_of(extended.vocab.ids)
    assert extended.embeddings.vectors[rows >= 0].tobytes() == model.embeddings.vectors[rows[rows >= 0]].tobytes()


def test_models_of_earlier_versions_have_no_contexts() -> None:
    model = SETTINGS.fit(clustered_sessions())
    bare = model.recipe.from_arrays(model.vocab, {name: model.arrays[name] for name in ("input", "output")})
    extended = extend_frozen(bare, sessions_with_new_items())
    assert extended.arrays.keys() == {"input", "output"} and extended.vocab.rows(NEW).min() >= 0


def test_training_moves_new_items_beyond_the_mean_of_their_contexts() -> None:
    model, sessions = SETTINGS.fit(clustered_sessions()), sessions_with_new_items()
    vocab = extend_frozen(model, sessions).vocab
    items = NewItems(model.arrays, sessions.reindex(vocab), model.vocab.rows_of(vocab.ids))
    few = solve_new_items(
        dataclasses.replace(SETTINGS, alpha=1e-6, min_alpha=1e-6), items, seed=0, threads=1, report=quiet
    )
    many = solve_new_items(SETTINGS, items, seed=0, threads=1, report=quiet)
    assert np.abs(few["input"][items.new] - many["input"][items.new]).max() > 0.01
