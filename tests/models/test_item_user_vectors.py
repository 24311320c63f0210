"""Vectors of items and users in training: ids that are not learned, dropout of ids, and the arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from embedrec.models.item_user_vectors import ItemUserVectors
from tests.conftest import of_lists


class Network(ItemUserVectors):
    def query_arrays(self) -> Mapping[str, Tensor]:
        return {"training": torch.tensor([float(self.training)])}


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network(4, 0.5, np.array([7, 0, 1]))


def test_the_vector_of_an_unknown_id_is_zero(network: Network) -> None:
    vectors = network.item_vectors(torch.tensor([2, 1, 2]))
    assert torch.equal(vectors[0], network.item_table[2]) and torch.equal(vectors[0], vectors[2])
    assert not vectors[1].any()


def test_data_are_not_in_checkpoints(network: Network) -> None:
    assert set(network.state_dict()) == {"item_table"}


def test_arrays_are_those_of_evaluation_and_training_continues(network: Network) -> None:
    network.train()
    arrays = network.arrays()
    assert set(arrays) == {"items", "training"}
    assert arrays["training"].tolist() == [0] and network.training
    np.testing.assert_array_equal(arrays["items"][[0, 2]], network.item_table.detach().numpy()[[0, 2]])


def test_ids_of_users_are_dropped_in_training_only(network: Network) -> None:
    sessions = of_lists([["a", "b"], ["b", "c"]])
    network.create_users(sessions, None, features=True)
    assert network.user_table is None
    network.user_table = network.create_table(400)
    network.keep("has_sessions", np.ones((400, 1), np.float32))
    rows = torch.arange(400)
    network.train()
    dropped = (network.user_vectors(rows) == 0).all(1).float().mean()
    assert 0.35 < dropped < 0.65
    network.eval()
    assert torch.equal(network.user_vectors(rows), network.user_table)
    assert network.arrays()["users"].shape == (400, 4)
