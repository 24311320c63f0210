"""word2vec as a recipe: bytes, growth, long and short sessions, settings, and that it finds what is there."""

import numpy as np
import pytest

import embedrec.models.word2vec.recipe as module
from embedrec.data.replay import replayed_sessions
from embedrec.data.session_changes import session_changes
from embedrec.errors import DataError, SettingsError
from embedrec.models.context_smoothing import Contexts, add_contexts, mean_contexts, smooth
from embedrec.models.popularity_scaling import scale_norms
from embedrec.models.serialization import LEGACY_DEFAULTS
from embedrec.models.session_encoders import mean_encoder
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.models.word2vec.training import train
from embedrec.progress import quiet
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import of_lists
from tests.models.planted_groups import GROUPS, SIZE, clusters, purity

SMALL = {"dim": 16, "epochs": 12, "sample": 0.0, "alpha": 0.05, "min_count": 1}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"architecture": "cbow"},
        {"deterministic": True},
        {"ordered": False, "window": 3},
        {"window": 3, "shrink_windows": True},
        {"ns_exponent": -0.5, "vectors": "input"},
        {"vectors": "output"},
        {"dim": 13},
        {"backend": "gensim"},
        {"backend": "gensim", "architecture": "cbow", "window": 4},
    ],
    ids=str,
)
def test_planted_groups_are_found(change):
    model = Word2Vec(**{**SMALL, "epochs": 25, **change}).fit(clusters(), seed=1, threads=2)
    assert model.embeddings.vectors.shape == (GROUPS * SIZE, change.get("dim", 16))
    assert purity(model) > 0.9


def test_init_continues_and_grows():
    old = Word2Vec(**SMALL).fit(clusters())
    fresh = of_lists([[0, 1, 1000, 1001], [1001, 2, 1000], [1000, 1001, 7777]] * 5)
    recipe = Word2Vec(**{**SMALL, "min_count": 6, "ns_exponent": 0.0})
    model = recipe.fit(fresh, init=old)
    assert model.vocab.ids.tolist() == [*old.vocab.ids.tolist(), 1000, 1001]  # 7777 is too rare
    counts = model.vocab.counts - np.append(old.vocab.counts, [0, 0])
    assert counts[[0, 1, 2, 3, -2, -1]].tolist() == [5, 5, 5, 0, 15, 15]
    n = len(old.vocab)
    for side in ("input", "output"):
        before, after = old.arrays[side], model.arrays[side][:n]
        moved = (before != after).any(axis=1)
        assert set(np.flatnonzero(moved)) == {0, 1, 2}  # absent items are no negatives either
    assert old.arrays["input"][0].tolist() != model.arrays["input"][0].tolist()


def test_a_warm_start_with_changes_averages_old_vectors():
    """Old items end half-way between their vectors and the trained ones, new ones at the trained ones."""
    sessions = clusters()
    lists = [sessions.vocab.ids[sessions[s]].tolist() for s in range(len(sessions))]
    more = of_lists([*lists, *([0, 1, 1000, 1001], [1000, 2, 1001]) * 3])
    model = Word2Vec(**SMALL).fit(sessions)
    recipe, changes = model.recipe.continuing(changes=True), session_changes(sessions, more)
    continued = recipe.fit(more, seed=3, init=model, changes=changes)
    assert continued.vocab.ids.tolist() == more.vocab.ids.tolist()
    start = recipe._initial(more, model, 3)
    chosen, mentions = replayed_sessions(changes, recipe.replay, seed=3), np.bincount(more.items)
    trained = train(recipe, chosen, start, mentions, seed=3, threads=1, report=quiet)
    old = model.vocab.rows_of(continued.vocab.ids) >= 0
    assert continued.vocab.ids[~old].tolist() == [1000, 1001]
    for name, before, after in zip(("input", "output"), start, trained, strict=True):
        np.testing.assert_allclose(continued.arrays[name][~old], after[~old], atol=1e-6)
        np.testing.assert_allclose(continued.arrays[name][old], (before[old] + after[old]) / 2, atol=1e-6)


def test_init_of_other_dimensions_is_refused():
    old = Word2Vec(**SMALL).fit(clusters())
    with pytest.raises(SettingsError, match="16 dimensions cannot be continued with dim=8"):
        Word2Vec(**{**SMALL, "dim": 8}).fit(clusters(), init=old)


@pytest.mark.parametrize("backend", ["embedrec", "gensim"])
def test_init_continues_in_either_backend(backend):
    old = Word2Vec(**SMALL).fit(clusters())
    model = Word2Vec(**{**SMALL, "epochs": 1, "alpha": 1e-6, "min_alpha": 0, "backend": backend}).fit(
        clusters(1), init=old
    )
    assert model.arrays["input"] == pytest.approx(old.arrays["input"], abs=1e-2)
    assert model.arrays["output"] == pytest.approx(old.arrays["output"], abs=1e-2)


def test_min_count_drops_items_and_counts_mentions():
    sessions = of_lists([["a", "b", "a"], ["a", "b", "c"]])
    model = Word2Vec(dim=4, epochs=1, min_count=2, sample=0.0).fit(sessions)
    assert model.vocab.ids.tolist() == ["a", "b"]
    assert model.vocab.counts.tolist() == [3, 2]


def test_short_and_empty_sessions_pass():
    lists = [[], ["a"], ["a", "b"], [], ["b", "a", "c"], ["c"]]
    for change in ({}, {"architecture": "cbow"}, {"deterministic": True}, {"backend": "gensim"}):
        model = Word2Vec(dim=4, epochs=2, sample=0.0, min_count=1, **change).fit(of_lists(lists), threads=2)
        assert np.isfinite(model.embeddings.vectors).all()
        assert model.arrays["output"].any()


def test_one_item_alone_can_be_trained_on_itself():
    model = Word2Vec(dim=4, epochs=2, min_count=1, sample=0.0).fit(of_lists([["a", "a", "a"]]))
    assert model.embeddings.vectors.shape == (1, 4)


@pytest.mark.parametrize(
    ("lists", "settings", "message"),
    [
        ([["a", "b"], ["a", "c"]], {"min_count": 3}, r"none of the 3 items is mentioned min_count=3 times .* has 2"),
        ([["a"], ["b"]], {"min_count": 1}, "no session has two items to learn from"),
        ([["a", "b"], ["c", "a"]], {"min_count": 2}, "no session has two items"),
    ],
)
def test_sessions_without_pairs_are_refused(lists, settings, message):
    with pytest.raises(DataError, match=message):
        Word2Vec(**settings).fit(of_lists(lists))


def test_empty_sessions_are_refused():
    with pytest.raises(DataError, match="none of the 0 items"):
        Word2Vec().fit(of_lists([]))


def test_threads_below_one_are_refused():
    with pytest.raises(SettingsError, match="threads must be at least 1, but is 0"):
        Word2Vec().fit(clusters(), threads=0)


def test_from_arrays_gives_the_same_vectors():
    model = Word2Vec(**SMALL).fit(clusters())
    again = model.recipe.from_arrays(model.vocab, model.arrays)
    for one, other in (
        (again.items, model.items),
        (again.embeddings, model.embeddings),
        (again.answers, model.answers),
    ):
        assert (one.vectors == other.vectors).all() and one.metric == other.metric
    with pytest.raises(DataError, match="input vectors are"):
        Word2Vec().from_arrays(model.vocab, {"input": np.zeros((3, 2)), "output": np.zeros((3, 4))})
    with pytest.raises(DataError, match="mentions of a word2vec model must not be negative"):
        model.recipe.from_arrays(model.vocab, {**model.arrays, "mentions": -model.arrays["mentions"]})


@pytest.mark.parametrize("side", ["input", "output", "sum"])
def test_vectors_of_a_side_are_smoothed(side):
    model = Word2Vec(**SMALL, vectors=side).fit(clusters())
    x, y = model.arrays["input"], model.arrays["output"]
    trained = {"input": x, "output": y, "sum": x + y}[side]
    contexts = mean_contexts(clusters(), trained, model.recipe.window)
    assert (model.arrays["context"] == contexts.mean).all()
    assert model.arrays["mentions"].tolist() == model.vocab.counts.tolist()
    assert (model.items.vectors == smooth(trained, contexts, 1.0)).all()


@pytest.mark.parametrize("side", ["input", "output", "sum"])
def test_models_of_earlier_versions_keep_their_vectors(side):
    model = Word2Vec(**SMALL).fit(clusters())
    arrays = {name: model.arrays[name] for name in ("input", "output")}
    recipe = Word2Vec(**SMALL, vectors=side, **LEGACY_DEFAULTS["word2vec"] | {"popularity": 0.5})
    old = recipe.from_arrays(model.vocab, arrays)
    trained = {**arrays, "sum": arrays["input"] + arrays["output"]}[side]
    assert (old.embeddings.vectors == trained).all() and old.embeddings.metric == "cosine"
    assert (old.answers.vectors == scale_norms(Embeddings(trained, model.vocab), 0.5).vectors).all()


def test_popularity_scales_the_full_norms():
    model = Word2Vec(**SMALL, popularity=0.5, similar_popularity=0.25).fit(clusters())
    assert (model.embeddings.vectors == scale_norms(model.items, 0.25).vectors).all()
    assert (model.answers.vectors == scale_norms(model.items, 0.5).vectors).all()
    scaled = model.scale_norms(1.0)
    for one in (scaled.embeddings, scaled.answers, scaled.searcher):
        assert (one.vectors == scale_norms(model.items, 1.0).vectors).all() and one.metric == "dot"
    assert model.scale_norms(0.0).embeddings is model.items


def test_vectors_of_sessions_are_compared_by_the_cosine():
    model = Word2Vec(**SMALL).fit(clusters())
    assert model.embeddings.metric == "dot"
    sessions = clusters().take(np.arange(3))
    encoded = model.encode(sessions)
    assert encoded.metric == "cosine"
    assert (encoded.vectors == mean_encoder(model.items.vectors, 0.7)(sessions)).all()


def test_continued_models_add_contexts():
    old = Word2Vec(**SMALL, smoothing=0.5).fit(clusters())
    fresh = clusters(1, count=40)
    model = old.recipe.continuing().fit(fresh, init=old)
    assert model.recipe.smoothing == 0.5
    trained = model.arrays["input"] + model.arrays["output"]
    before = Contexts(old.arrays["context"], old.arrays["mentions"])
    expected = add_contexts(before, mean_contexts(fresh, trained, old.recipe.window))
    assert (model.arrays["context"] == expected.mean).all()
    assert (model.arrays["mentions"] == old.arrays["mentions"] + np.bincount(fresh.items)).all()


def test_the_choice_of_the_popularity_does_not_see_the_items_it_predicts(monkeypatch):
    chosen = {}

    def choose(embeddings, encoder, sessions, *, seed):
        chosen["items"], chosen["sessions"] = embeddings, sessions
        return 0.25

    monkeypatch.setattr(module, "best_share", choose)
    model = Word2Vec(**SMALL).fit(clusters())
    assert model.recipe.popularity == 0.25
    early = clusters().take(np.arange(600), np.full(600, 7))
    trained = model.arrays["input"] + model.arrays["output"]
    contexts = mean_contexts(early, trained, model.recipe.window)._replace(counts=model.arrays["mentions"])
    assert (chosen["items"].vectors == smooth(trained, contexts, 1.0)).all()
    assert chosen["sessions"].lengths.tolist() == [8] * 600


def test_recommends_from_the_group_of_the_history():
    model = Word2Vec(**SMALL).fit(clusters())
    histories = of_lists([[0, 1, 2], [50, 51]], model.vocab)
    groups = model.recommend(histories, 5).rows // SIZE
    assert (groups == [[0], [4]]).mean() > 0.8
