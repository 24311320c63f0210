"""Two processes give the loss curve of one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.errors import SettingsError
from embedrec.training.context import DEFAULT_CONTEXT, torchrun_rank
from embedrec.training.distributed import join_processes
from tests.training.beside import curves

SMALL: dict[str, Any] = {"recipe": "two-tower", "dim": 6, "epochs": 3, "batch": 31, "dropout": 0.0, "id_dropout": 0.0}
STREAMS: dict[str, Any] = {"recipe": "gru4rec", "layers": "5,4", "epochs": 2, "n_sample": 6, "embedding_dropout": 0.0,
                           "hidden_dropout": 0.0}  # fmt: skip
ATTENTION: dict[str, Any] = {"recipe": "sasrec", "dim": 8, "blocks": 2, "epochs": 3, "patience": None, "dropout": 0.0,
                             "block_dropout": 0.0, "id_dropout": 0.0}  # fmt: skip
SETTINGS: list[dict[str, Any]] = [
    {**SMALL, "negatives": 12, "users": True, "query_layers": "5", "patience": 2},
    {**SMALL, "negatives": 3, "loss": "bce", "scoring": "dot", "temperature": 1.0, "clip": 0.1, "patience": None},
    {**ATTENTION, "batch": 31, "negatives": 12, "patience": 2},
    {**ATTENTION, "batch": 17, "negatives": 9, "query": "last", "gates": True, "users": True, "hardest": 3},
    {**ATTENTION, "batch": 40, "negatives": 9, "loss": "gbce", "order": "random", "positions": "learned", "history": 3},
    {**STREAMS, "batch": 31},
    {**STREAMS, "batch": 17, "loss": "cross-entropy", "input": "onehot", "patience": 1, "regularisation": 0.01},
]


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    """Gloo on this machine; sparse and dense gradients, in-batch negatives, a batch that does not divide, clipping,
    streams whose states go on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = Path(__file__).parents[2]
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tests.training.beside", json.dumps(SETTINGS), str(tmp_path)]
    started = [
        subprocess.Popen(words, cwd=root, env={**os.environ, **together, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    losses, arrays = curves(SETTINGS, DEFAULT_CONTEXT)
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    result = json.loads((tmp_path / "losses.json").read_text())
    assert [len(curve) for curve in result] == [len(curve) for curve in losses]
    for one, other in zip(result, losses, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)
    for number, array in enumerate(arrays):
        np.testing.assert_allclose(np.load(tmp_path / f"{number}.npy"), array, rtol=1e-2, atol=1e-3)


def test_processes_of_torchrun_are_detected() -> None:
    assert torchrun_rank({}) == (0, 1)
    assert torchrun_rank({"LOCAL_RANK": "1", "WORLD_SIZE": "4", "RANK": "3"}) == (1, 4)
    with (
        pytest.raises(SettingsError, match=r"could not connect .*; start them with torchrun"),
        join_processes("cpu", {}),
    ):
        pass
