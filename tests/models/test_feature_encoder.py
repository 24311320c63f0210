"""The feature encoder by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from embedrec.data import Features, Vocab
from embedrec.data.features import Categories, Lists
from embedrec.models.feature_encoder import FeatureSum, catalogue, distinct, encode_features
from tests.conftest import tiny_sessions


@pytest.mark.parametrize("n", [9, 10_000])
def test_distinct_rows(n: int) -> None:
    rows = torch.tensor([7, 3, 3, 8, 7, 0])
    result, place = distinct(rows, n)
    assert result.tolist() == [0, 3, 7, 8] and torch.equal(result[place], rows)
    assert [len(part) for part in distinct(rows[:0], n)] == [0, 0]


def test_features_as_a_sum() -> None:
    names = np.array(["x", "y"], dtype=object)
    features = Features(
        Vocab(list("abc")),
        {"year": np.array([1, 3, np.nan], dtype=np.float32)},
        {"kind": Categories(np.array([1, -1, 0]), names)},
        {"tags": Lists(np.array([0, 2, 2, 3]), np.array([0, 1, 1]), names)},
    )
    coded = encode_features(features, np.array([True, True, False]))
    assert coded.offsets.tolist() == [0, 3, 3, 5] and coded.count == 4
    assert coded.words.tolist() == [1, 2, 3, 0, 3] and coded.weights.tolist() == [1, 0.5, 0.5, 1, 1]
    assert coded.numbers.tolist() == [[-1], [1], [0]]
    module = FeatureSum(coded, 3)
    table, linear = module.table.detach(), module.linear
    assert linear is not None
    year = linear.weight.detach()[:, 0]
    rows = module(torch.tensor([2, 0, 1, 2])).detach().numpy()
    want = [table[0] + table[3], table[1] + (table[2] + table[3]) / 2 - year, year, table[0] + table[3]]
    np.testing.assert_allclose(rows, torch.stack(want).numpy(), rtol=1e-5, atol=1e-7)


def test_names_of_items_without_events() -> None:
    sessions = tiny_sessions()
    assert sessions.vocab.names is not None
    known = Features(Vocab(["new", str(sessions.vocab.ids[0])], ["New", "First"]), {"x": np.array([1.0, 2.0])})
    vocab, features = catalogue(replace(sessions, item_features=known), features=True)
    assert vocab.ids.tolist() == [*sessions.vocab.ids.tolist(), "new"] and vocab.names is not None
    assert vocab.names.tolist() == [*sessions.vocab.names.tolist(), "New"]
    assert features is not None and features.numeric["x"][-1] == 1


def test_features_of_ids_of_another_type_are_unused() -> None:
    sessions = replace(tiny_sessions(), item_features=Features(Vocab(np.arange(3))))
    vocab, features = catalogue(sessions, features=True)
    assert vocab is sessions.vocab and features is not None and len(features) == len(vocab)
    assert catalogue(sessions, features=False) == (sessions.vocab, None)
