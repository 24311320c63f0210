"""The training loop of word2vec: repeatability, reports and errors."""

import numpy as np
import pytest

from embedrec.errors import DataError, EmbedrecError, TrainingError
from embedrec.models.word2vec.recipe import Word2Vec
from tests.conftest import of_lists
from tests.models.planted_groups import clusters

SMALL = {"dim": 16, "epochs": 12, "sample": 0.0, "alpha": 0.05, "min_count": 1}


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


def test_subsampling_that_leaves_nothing_is_no_training():
    with pytest.raises(DataError, match=r"sub-sampling \(sample=1e-12\) left no pair of the 4 events .* set sample=0"):
        Word2Vec(dim=4, min_count=1, sample=1e-12).fit(of_lists([["a", "b"], ["b", "a"]]))


def test_divergence_names_the_epoch():
    recipe = Word2Vec(dim=4, epochs=40, alpha=10, min_alpha=10, negative=200, sample=0.0)
    with pytest.raises(TrainingError, match=r"in epoch \d+ of 40; lower alpha, which is 10"):
        recipe.fit(of_lists([[i % 5, (i + 1) % 5, (i * 2) % 5] * 20 for i in range(50)]))


def test_an_error_of_the_reader_of_progress_stops_training():
    class StopHereError(EmbedrecError):
        pass

    def report(event, **numbers):
        raise StopHereError

    with pytest.raises(StopHereError):
        Word2Vec(**{**SMALL, "epochs": 10**9}).fit(clusters(), threads=2, report=report)
