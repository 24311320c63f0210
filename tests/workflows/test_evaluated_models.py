"""Models to evaluate: trained before, trained now, imported, searched through an index."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.config import build
from embedrec.data import Vocab
from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.models import MODELS, recipe_class
from embedrec.models.baselines.popular import Popular
from embedrec.models.imported import Vectors
from embedrec.models.serialization import load_model, save_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluate import (
    PROTOCOLS,
    Protocol,
    evaluate_task,
    open_evaluation_task,
)
from embedrec.workflows.evaluated_models import (
    EvaluatedModel,
    check_model_names,
    model_to_evaluate,
    search_through_index,
)
from embedrec.workflows.train import TrainingOptions, train_model
from embedrec.workflows.warm_start import WarmStart
from tests.conftest import of_lists, some_embeddings
from tests.workflows.toy_sessions import N, has_test_cases

SMALL = {"dim": "8", "epochs": "2", "min_count": "1"}  # of these, what a recipe knows
CASES = [
    ("next", "time:share=.2"),
    ("last", "last-item"),
    ("rest", "random"),
    ("users", "warm-time"),
    ("similar", "tail"),
]
LIST_METRICS = ", ".join(MODELS)


def small(name: str) -> list[str]:
    known = {f.name for f in dataclasses.fields(recipe_class(name))}
    return [f"{k}={v}" for k, v in SMALL.items() if k in known]


@pytest.mark.parametrize(("protocol", "split"), CASES, ids=[p for p, _ in CASES])
@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_under_every_protocol(
    name: str, protocol: Protocol, split: str, source: Artifact, root: Path
) -> None:
    results = open_evaluation_task(source, split=split, protocol=protocol)
    assert has_test_cases(results, protocol)
    model = model_to_evaluate(Workspace(root), name, results, TrainingOptions(pairs=small(name)))
    assert model.seconds is not None and model.origin == "trained now on the training part"
    assert set(model.model.vocab.ids) <= set(results.train.vocab.ids)
    terms = EvaluationSettings(at=(1, 10), exclude_seen=True, draws=20)
    result = evaluate_task(results, model.model, terms)
    assert len(result.test_cases) == len(results.test_cases)
    for key, column in result.values.items():
        assert column.shape == (len(result.test_cases),)
        if key.partition("@")[0] != "novelty":
            assert ((column >= 0) & (column <= 1) | np.isnan(column)).all(), key
    assert 0 < result.metrics["recall@10"] <= 1 and 0 < result.metrics["coverage@10"] <= 1
    low, high = result.intervals["recall@10"]
    assert 0 <= low <= result.metrics["recall@10"] <= high <= 1
    if name == "random" and len(result.test_cases) > 20:  # 10 of about 30 items
        assert result.metrics["coverage@10"] > 0.9
    again = evaluate_task(
        results, model_to_evaluate(Workspace(root), name, results, TrainingOptions(pairs=small(name))).model, terms
    )
    assert again.ranks.tolist() == result.ranks.tolist()


def test_all_protocols_are_covered() -> None:
    assert [p for p, _ in CASES] == list(PROTOCOLS)


def test_a_model_of_the_training_part_is_not_retrained(workspace: Workspace, split_source: Artifact) -> None:
    result = model_to_evaluate(workspace, "fair", open_evaluation_task(split_source))
    assert (result.seconds, result.origin) == (None, "trained before, on the training part")
    vectors = model_to_evaluate(workspace, "fair-vectors", open_evaluation_task(split_source))
    stored = load_model(workspace.find("model", "fair-vectors"))
    assert vectors.seconds is None
    assert vectors.model.arrays["input"].tobytes() == stored.arrays["input"].tobytes()


@pytest.mark.parametrize(
    ("name", "trial_of"),
    [
        ("knows-all", {}),  # trained on more
        ("continued", {}),  # from a model of which it is not known what it has seen
        ("fair-vectors", {"split": "random"}),
        ("fair-vectors", {"valid": True}),
    ],
)
def test_a_model_of_more_sessions_is_retrained(
    name: str, trial_of: dict[str, Any], workspace: Workspace, split_source: Artifact
) -> None:
    task = open_evaluation_task(split_source, **trial_of)
    result = model_to_evaluate(workspace, name, task, TrainingOptions(seed=3))
    assert result.seconds is not None and result.origin == "retrained on the training part with its settings"
    assert isinstance(result.model.recipe, Word2Vec) and result.model.recipe.dim == 8
    assert set(result.model.vocab.ids) == set(task.train.vocab.ids)
    assert result.model.arrays["input"].tobytes() == (
        Word2Vec(dim=8, epochs=1, min_count=1).fit(task.train, seed=3).arrays["input"].tobytes()
    )


def test_other_settings_are_retrained(workspace: Workspace, split_source: Artifact, tmp_path: Path) -> None:
    task = open_evaluation_task(split_source)
    result = model_to_evaluate(workspace, "fair-vectors", task, TrainingOptions(pairs=["dim=4"]))
    assert result.seconds is not None and result.model.arrays["input"].shape[1] == 4
    (tmp_path / "c.toml").write_text("[train.word2vec]\ndim = 5\n")
    result = model_to_evaluate(workspace, "fair-vectors", task, TrainingOptions(config=tmp_path / "c.toml"))
    assert result.model.arrays["input"].shape[1] == 5


def test_imported_vectors_are_not_retrained(workspace: Workspace, split_source: Artifact) -> None:
    results = model_to_evaluate(workspace, "foreign", open_evaluation_task(split_source))
    assert (results.seconds, results.origin) == (None, "imported; may have been trained on the held-out part")
    result = evaluate_task(open_evaluation_task(split_source), results.model, EvaluationSettings(draws=0))
    assert 0 < result.metrics["recall@20"] < 1


def test_text_ids_of_imported_vectors_match_integer_ids(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lists = [rng.choice(20, 6).tolist() for _ in range(30)]
    with artifacts.writing(tmp_path / "sessions" / "s", "sessions", {}) as draft:
        of_lists(lists).drop_unused_items().write(draft)
    vocab = Vocab([str(i) for i in [99, *range(20)]])  # one that training lacks
    embeddings = some_embeddings(21, 8)
    workspace = Workspace(tmp_path)
    save_model(Vectors().from_arrays(vocab, {"items": embeddings.vectors}), workspace.folder("model", "foreign"), {})
    task = open_evaluation_task(workspace.find("sessions", "s"))
    result = model_to_evaluate(workspace, "foreign", task)
    assert sorted(result.model.vocab.ids.tolist()) == sorted(task.train.vocab.ids.tolist())
    nine = result.model.vocab.rows([9])[0]
    assert (result.model.arrays["items"][nine] == embeddings.vectors[10]).all()
    assert evaluate_task(task, result.model, EvaluationSettings(at=(5,), draws=0)).metrics["recall@5"] > 0


def test_a_trained_model_precedes_a_recipe(workspace: Workspace, split_source: Artifact) -> None:
    train_model(Popular(days=2), split_source, workspace.folder("model", "popular"))
    result = model_to_evaluate(workspace, "popular", open_evaluation_task(split_source))
    assert result.seconds is None and result.model.recipe == Popular(days=2)


def test_names_are_checked_before_anything_is_trained(workspace: Workspace) -> None:
    check_model_names(workspace, ["fair", "popular", "foreign", *MODELS])
    check_model_names(workspace, [])
    for name, message in (
        ("poplar", "no model is called 'poplar'; did you mean 'popular'?"),
        ("fair-vector", "no model is called 'fair-vector'; did you mean 'fair-vectors'?"),
        ("vectors", "no model is called 'vectors'; did you mean 'fair-vectors'?"),
        (
            "zzz",
            f"no model is called 'zzz'; valid are continued, fair, fair-vectors, foreign, knows-all, {LIST_METRICS}",
        ),
    ):
        with pytest.raises(SettingsError) as error:
            check_model_names(workspace, ["popular", name])
        assert str(error.value) == message


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_a_model_is_evaluated_through_an_index(kind: str, workspace: Workspace, split_source: Artifact) -> None:
    task = open_evaluation_task(split_source)
    exact = model_to_evaluate(workspace, "fair-vectors", task)
    results = search_through_index(exact, kind, task)
    assert results.origin.startswith("trained before, on the training part; through ")
    assert isinstance(results, EvaluatedModel) and results.name == "fair-vectors"
    terms = EvaluationSettings(at=(10,), draws=0)
    one, other = (evaluate_task(task, c.model, terms) for c in (exact, results))
    if kind == "flat":
        assert one.metrics["recall@10"] == pytest.approx(other.metrics["recall@10"], abs=0.02)
    assert 0 < other.metrics["recall@10"] <= 1


def test_an_index_needs_vectors(workspace: Workspace, split_source: Artifact) -> None:
    task = open_evaluation_task(split_source)
    with pytest.raises(SettingsError) as error:
        search_through_index(model_to_evaluate(workspace, "fair", task), "flat", task)
    assert str(error.value) == "--through needs a model with vectors; fair has none"


@pytest.fixture
def workspace(tmp_path: Path, split_source: Artifact, source: Artifact) -> Workspace:
    """A model of the training part, one of all sessions, one continued, and imported vectors."""
    workspace = Workspace(tmp_path)
    recipe = Word2Vec(dim=8, epochs=1, min_count=1)
    train_model(Popular(), split_source, workspace.folder("model", "fair"))
    train_model(recipe, source, workspace.folder("model", "knows-all"), seed=1)
    fair = train_model(recipe, split_source, workspace.folder("model", "fair-vectors"), seed=1)
    train_model(recipe, split_source, workspace.folder("model", "continued"), start=WarmStart(fair), seed=1)
    embeddings = some_embeddings(N, 8)
    vocab = Vocab([f"i{r:02}" for r in range(N)])
    save_model(Vectors().from_arrays(vocab, {"items": embeddings.vectors}), workspace.folder("model", "foreign"), {})
    return workspace


def test_every_recipe_is_built_from_the_small_settings() -> None:
    """Otherwise the tests above would train with the default settings."""
    for name in MODELS:
        recipe = build(recipe_class(name), dict(p.split("=") for p in small(name)), source="the tests")
        assert all(getattr(recipe, k) <= 8 for k in SMALL if hasattr(recipe, k))
