"""Processes that train on shares of the sessions: the steps of one process that sees both shares."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from embedrec.data import Sessions
from embedrec.data.session_shares import session_share
from embedrec.errors import DataError, SettingsError
from embedrec.models import recipe_class
from embedrec.models.word2vec import training as word2vec
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.models.word2vec.training import Tally, exchange, exchanges
from embedrec.storage.memory_budget import count_rows
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext
from embedrec.training.devices import seed_torch
from embedrec.training.shares import joint_digest, share_seed, total
from tests.training.toy import clustered_sessions

ROOT = Path(__file__).parents[2]
SETTINGS: list[dict[str, Any]] = [
    {"recipe": "two-tower", "dim": 6, "epochs": 2, "batch": 31, "dropout": 0.0, "id_dropout": 0.0, "patience": None,
     "negatives": 5},
    {"recipe": "gru4rec", "layers": "5", "epochs": 2, "batch": 9, "n_sample": 6, "embedding_dropout": 0.0,
     "hidden_dropout": 0.0, "patience": None},
    {"recipe": "sasrec", "dim": 8, "epochs": 2, "batch": 30, "dropout": 0.0, "block_dropout": 0.0, "id_dropout": 0.0,
     "negatives": 9, "patience": None},
    {"recipe": "word2vec", "dim": 6, "epochs": 2, "min_count": 1, "sample": 0.0, "popularity": 0.0},
]  # fmt: skip
PATIENT: dict[str, Any] = {"recipe": "two-tower", "dim": 6, "epochs": 3, "batch": 40, "patience": 3}


class Rank:
    """A context that is that of a process only in its rank."""

    def __init__(self, rank: int) -> None:
        self.processes = SimpleNamespace(rank=rank)


def recipe_of(settings: dict[str, Any]) -> Any:
    return recipe_class(settings["recipe"])(**{key: value for key, value in settings.items() if key != "recipe"})


def two_processes(settings: list[dict[str, Any]], folder: Path) -> list[np.ndarray]:
    """The vectors of trainings in two processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tests.training.beside_shares", json.dumps(settings), str(folder)]
    started = [
        subprocess.Popen(words, cwd=ROOT, env={**os.environ, **together, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    return [np.load(folder / f"{number}.npy") for number in range(len(settings))]


def twin(settings: dict[str, Any], shares: list[Sessions]) -> np.ndarray:
    """The items of a model whose steps are summed over both shares in this process."""
    recipe = recipe_of(settings)
    counts = sum(count_rows(share.items, len(share.vocab)) for share in shares)
    learners = []
    for rank, share in enumerate(shares):
        with seed_torch("cpu", 5, 0):
            half = replace(recipe, batch=(recipe.batch + 1) // 2)
            learners.append(half.share_learner(share, counts=counts, seed=share_seed(5, Rank(rank))))  # type: ignore[arg-type]
    first = list(learners[0].module.parameters())
    optimizers = learners[0].optimizers()
    for epoch in range(1, recipe.epochs + 1):
        iterators = [learner.batches(epoch) for learner in learners]
        while True:
            batches = [next(iterator, None) for iterator in iterators]
            size = sum(len(batch) for batch in batches if batch is not None)
            if not size:
                break
            gradients: list[list[torch.Tensor]] = [[] for _ in first]
            for learner, batch in zip(learners, batches, strict=True):
                own = list(learner.module.parameters())
                for parameter, value in zip(own, first, strict=True):
                    parameter.data.copy_(value.data)
                    parameter.grad = None
                if batch is None:
                    continue
                learner.module.train()
                (learner.module(batch) / size).backward()
                for sums, parameter in zip(gradients, own, strict=True):
                    if parameter.grad is not None:
                        sums.append(parameter.grad.clone())
            for parameter, parts in zip(first, gradients, strict=True):
                parameter.grad = sum(parts[1:], start=parts[0]) if parts else None
                if parameter.grad is not None and parameter.grad.is_sparse:
                    parameter.grad = parameter.grad.coalesce()
            for optimizer in optimizers:
                with torch.sparse.check_sparse_tensor_invariants(False):  # type: ignore[no-untyped-call]
                    optimizer.step()
    return np.asarray(learners[0].model().arrays["items"])


def word2vec_twin(settings: dict[str, Any], shares: list[Sessions]) -> np.ndarray:
    """The input vectors of word2vec in this process, whose changes in both shares are summed row by row."""
    recipe = recipe_of(settings)
    mentions = sum(count_rows(share.items, len(share.vocab)) for share in shares)
    n = len(mentions)
    start = recipe._initial(shares[0], None, 5)
    corpora = [
        word2vec.Corpus.of(recipe, share, mentions, share_seed(5, Rank(rank)))  # type: ignore[arg-type]
        for rank, share in enumerate(shares)
    ]
    x, y = (
        word2vec.padded(vectors, rows) for vectors, rows in ((start.input, n), (start.output, n + word2vec.FILLERS))
    )
    for epoch in range(recipe.epochs):
        trained = []
        for corpus in corpora:
            own = x.copy(), y.copy()
            work = word2vec._SharedVectors(corpus, word2vec.skipgram, *own)
            work._work(iter(corpus.chunks(word2vec.CHUNK)), epoch, Tally())  # one round: the share is short
            trained.append(own)
        for side, vectors in enumerate((x, y)):
            for row in range(len(vectors)):
                vectors[row] += sum(own[side][row] - vectors[row] for own in trained)
    return x[:, : recipe.dim]


def test_two_processes_take_the_steps_of_their_twin(tmp_path: Path) -> None:
    clustered_sessions().save(tmp_path / "sessions", {})
    shares = [session_share(tmp_path / "sessions", rank, 2) for rank in range(2)]
    found = two_processes([*SETTINGS, PATIENT, {**PATIENT, "stop": True}], tmp_path)
    for settings, vectors in zip(SETTINGS, found, strict=False):
        make = word2vec_twin if settings["recipe"] == Word2Vec.name else twin
        np.testing.assert_allclose(vectors, make(settings, shares), rtol=1e-3, atol=1e-4, err_msg=settings["recipe"])
    assert found[-1].tobytes() == found[-2].tobytes()


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["recipe"])
def test_one_process_has_the_bytes_of_a_training_without_memory(settings: dict[str, Any]) -> None:
    recipe, sessions = recipe_of(settings), clustered_sessions()
    if settings["recipe"] in ("two-tower", "sasrec"):
        recipe = replace(recipe, patience=1)
    plain, shared = recipe.fit(sessions, seed=3), recipe.fit(sessions, seed=3, context=TrainingContext(memory=1 << 30))
    assert shared.recipe == plain.recipe
    assert {name: array.tobytes() for name, array in shared.arrays.items()} == {
        name: array.tobytes() for name, array in plain.arrays.items()
    }


def test_changes_are_summed_or_averaged() -> None:
    rng = np.random.default_rng(0)
    before, other = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    own = before.copy()
    own[[0, 1]] += 1
    other_changed = np.array([True, False, True, False, False])

    def summed(tensor: torch.Tensor) -> torch.Tensor:
        more = torch.from_numpy(np.where(other_changed[:, None], other - before, 0).astype(np.float32))
        return tensor.add_(more if tensor.ndim == 2 else torch.from_numpy(other_changed.astype(np.float32)))

    copy, together = own.copy(), SimpleNamespace(sum=summed)
    exchange(own, before, together, summed=False)  # type: ignore[arg-type]
    exchange(copy, before, together, summed=True)  # type: ignore[arg-type]
    expected = before.copy()
    expected[0] = (before[0] + 1 + other[0]) / 2
    expected[1] += 1
    expected[2] = other[2]
    np.testing.assert_allclose(own, expected, atol=1e-6)
    expected[0] = other[0] + 1
    np.testing.assert_allclose(copy, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("events", "expected"), [(1, (1, True)), (8192, (1, True)), (8193, (2, True)), (1 << 22, (256, True)),
                             ((1 << 22) + 512, (256, False))],
)  # fmt: skip
def test_short_rounds_are_summed(events: int, expected: tuple[int, bool]) -> None:
    alike = SimpleNamespace(count=3, sum=lambda tensor: tensor * 3)
    context: Any = SimpleNamespace(processes=alike, device="cpu")
    assert exchanges(events, context) == expected
    assert exchanges(events, DEFAULT_CONTEXT) == (1, False)


def test_one_process_has_its_own_sums_digest_and_seed() -> None:
    values = np.arange(3)
    assert total(values, DEFAULT_CONTEXT) is values
    assert joint_digest("ab", DEFAULT_CONTEXT) == "ab"
    assert share_seed(7, DEFAULT_CONTEXT) == share_seed(7, Rank(0)) == 7  # type: ignore[arg-type]
    assert len({share_seed(seed, Rank(rank)) for seed in (7, 8) for rank in range(4)}) == 8  # type: ignore[arg-type]


def test_what_needs_all_sessions_is_refused() -> None:
    sessions, context = clustered_sessions(), TrainingContext(memory=1 << 30)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"recipe": "two-tower", "users": True}, "users of two-tower needs all sessions in every process; leave it or "
         "--memory out"),
        ({"recipe": "two-tower", "trend": 7.0}, "trend of two-tower needs all sessions in every process; leave it or "
         "--memory out"),
        ({"recipe": "sasrec", "users": True}, "users of sasrec needs all sessions in every process; leave it or "
         "--memory out"),
        ({"recipe": "neural-cf"}, "neural-cf has no memory limit; leave --memory out"),
        ({"recipe": "word2vec", "backend": "gensim"}, "backend=gensim of word2vec takes one process without --memory; "
         "leave these out"),
    ]  # fmt: skip
    for settings, message in cases:
        with pytest.raises(SettingsError) as caught:
            recipe_of(settings).fit(sessions, context=context)
        assert str(caught.value) == message
    model = Word2Vec(dim=4, epochs=1, min_count=1).fit(sessions)
    with pytest.raises(SettingsError, match=r"^a warm start of word2vec takes one process without --memory; leave"):
        model.recipe.continuing().fit(sessions, init=model, context=context)
    with pytest.raises(DataError) as small:
        recipe_of(SETTINGS[0]).fit(sessions, context=replace(context, memory=100))
    assert str(small.value) == (
        f"two-tower needs about 0M for {len(sessions.items)} events, more than --memory 0M; start more processes with "
        "torchrun, each of which reads its share, or raise --memory"
    )
