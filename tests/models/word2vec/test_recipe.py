"""word2vec as a recipe: bytes, growth, long and short sessions, settings, and that it finds what is there."""

import numpy as np
import pytest

from embedrec.errors import DataError, EmbedrecError, SettingsError, TrainingError
from embedrec.models.word2vec.gensim import Sentences
from embedrec.models.word2vec.recipe import Word2Vec
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


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_same_seed_and_one_thread_same_bytes(architecture):
    recipe = Word2Vec(**SMALL, architecture=architecture)
    first, again, other = (recipe.fit(clusters(), seed=seed).arrays["input"].tobytes() for seed in (4, 4, 5))
    assert first == again != other


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_deterministic_gives_the_same_bytes_at_any_number_of_threads(architecture):
    recipe = Word2Vec(**{**SMALL, "epochs": 4}, architecture=architecture, deterministic=True)
    models = [recipe.fit(clusters(count=3000), seed=2, threads=threads) for threads in (1, 2, 3, 4)]
    for side in ("input", "output"):
        assert len({m.arrays[side].tobytes() for m in models}) == 1
    assert np.abs(models[0].arrays["output"]).max() > 0.1


def test_loss_falls_and_progress_ends_at_the_total():
    events = []
    Word2Vec(**SMALL).fit(clusters(), report=lambda event, **numbers: events.append((event, numbers)))
    epochs = [numbers for event, numbers in events if event == "epoch"]
    assert [e["epoch"] for e in epochs] == list(range(1, 13))
    assert epochs[0]["loss"] > 1.3 * epochs[-1]["loss"] > 0
    assert epochs[0]["loss"] < 6 * np.log(2) * 1.01  # before learning a pair and 5 negatives cost log 2 each
    assert set(epochs[0]) == {"epoch", "epochs", "loss", "seconds", "events_per_second"}
    done = [numbers for event, numbers in events if event == "progress"][-1]
    assert done == {"done": 12 * 4800, "total": 12 * 4800, "unit": "events"}


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
def test_nothing_to_learn_from(lists, settings, message):
    with pytest.raises(DataError, match=message):
        Word2Vec(**settings).fit(of_lists(lists))


def test_subsampling_that_leaves_nothing_is_no_training():
    with pytest.raises(DataError, match=r"sub-sampling \(sample=1e-12\) left no pair of the 4 events .* set sample=0"):
        Word2Vec(dim=4, min_count=1, sample=1e-12).fit(of_lists([["a", "b"], ["b", "a"]]))


def test_no_sessions_at_all():
    with pytest.raises(DataError, match="none of the 0 items"):
        Word2Vec().fit(of_lists([]))


def test_divergence_names_the_epoch():
    recipe = Word2Vec(dim=4, epochs=40, alpha=10, min_alpha=10, negative=200, sample=0.0)
    with pytest.raises(TrainingError, match=r"in epoch \d+ of 40; lower alpha \(now 10\)"):
        recipe.fit(of_lists([[i % 5, (i + 1) % 5, (i * 2) % 5] * 20 for i in range(50)]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"window": -1}, "window must be"),
        ({"epochs": 0}, "epochs must be at least 1, but is 0"),
        ({"negative": 0}, "negative must be between 1 and 10000, but is 0"),
        ({"ns_exponent": float("nan")}, "ns_exponent must be .* nan"),
        ({"sample": -1e-3}, "sample must be"),
        ({"alpha": float("inf")}, "alpha must be"),
        ({"alpha": 0.01, "min_alpha": 0.02}, r"min_alpha must be at most alpha \(0.01\), but is 0.02"),
        ({"min_count": 0}, "min_count must be at least 1"),
        ({"decay": 0.0}, "decay must be"),
        ({"architecture": "glove"}, "architecture must be one of skip-gram, cbow, but is 'glove'"),
        ({"vectors": "both"}, "vectors must be one of input, output, sum"),
        ({"backend": "torch"}, "backend must be one of embedrec, gensim"),
        ({"backend": "gensim", "deterministic": True}, "deterministic=true needs backend=embedrec"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        Word2Vec(**settings)


def test_threads_below_one_are_refused():
    with pytest.raises(SettingsError, match="threads must be at least 1, but is 0"):
        Word2Vec().fit(clusters(), threads=0)


def test_an_error_of_the_reader_of_progress_stops_training():
    class StopHereError(EmbedrecError):
        pass

    def report(event, **numbers):
        raise StopHereError

    with pytest.raises(StopHereError):
        Word2Vec(**{**SMALL, "epochs": 10**9}).fit(clusters(), threads=2, report=report)


def test_restore_gives_the_same_vectors():
    model = Word2Vec(**SMALL).fit(clusters())
    for side, vectors in (
        ("input", model.arrays["input"]),
        ("output", model.arrays["output"]),
        ("sum", model.arrays["input"] + model.arrays["output"]),
    ):
        restored = Word2Vec(**SMALL, vectors=side).from_arrays(model.vocab, model.arrays)
        assert (restored.embeddings.vectors == vectors).all()
        assert restored.embeddings.metric == "cosine"
    with pytest.raises(DataError, match="input vectors are"):
        Word2Vec().from_arrays(model.vocab, {"input": np.zeros((3, 2)), "output": np.zeros((3, 4))})


def test_recommends_from_the_group_of_the_history():
    model = Word2Vec(**SMALL).fit(clusters())
    histories = of_lists([[0, 1, 2], [50, 51]], model.vocab)
    groups = model.recommend(histories, 5).rows // SIZE
    assert (groups == [[0], [4]]).mean() > 0.8


def test_gensim_meets_every_item_of_a_long_session():
    sessions = of_lists([["a", "b"], [], list("abcde") * 5_000])
    pieces = Sentences(sessions, None)
    made = list(pieces)
    assert len(made) == len(pieces) == 5
    assert [len(piece) for piece in made] == [2, 0, 10_000, 10_000, 5_000]
    assert [int(word) for piece in made for word in piece] == sessions.items.tolist()
