"""Composite models of a workspace: parts are stored once and named in the manifest; only better models are written."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec import Cooccurrence, Fusion, GRU4Rec, Popular, SequentialRules
from embedrec.errors import ArtifactError, SettingsError, TargetNotMet
from embedrec.models.imported import Vectors
from embedrec.models.serialization import load_model, part_artifacts, save_model
from embedrec.ranking.parts import parse_candidates
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.switch import Staged, switch
from embedrec.storage.workspace import Workspace
from embedrec.training import devices
from embedrec.training.context import TrainingContext
from embedrec.workflows.composite_parts import device_for, prepare_parts
from embedrec.workflows.evaluate import evaluate_task, open_evaluation_task
from embedrec.workflows.evaluated_models import model_to_evaluate, parts_to_keep
from embedrec.workflows.gc import collect_garbage
from embedrec.workflows.train import TrainingOptions, train_model, training_context
from embedrec.workflows.verify import verify_workspace
from tests.conftest import of_lists
from tests.ranking.two_kinds import two_kinds

FORCED = TrainingContext(force=True)


@pytest.fixture(scope="module")
def trained_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("composite")
    two_kinds(400).save(root / "sessions" / "s", {})
    source = artifacts.read(root / "sessions" / "s", "sessions")
    train_model(SequentialRules(steps=3), source, root / "models" / "mine")
    train_model(Fusion("mine=9,popular=5", window=0.3), source, root / "models" / "fused", context=FORCED)
    return root


@pytest.fixture
def workspace(trained_root: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(trained_root, tmp_path / "w")
    return Workspace(tmp_path / "w")


def source_of(workspace: Workspace) -> Artifact:
    return workspace.find("sessions", "s")


def test_parts_are_named_by_fingerprint_and_not_written_twice(workspace: Workspace) -> None:
    fused, mine = workspace.find("model", "fused"), workspace.find("model", "mine")
    parts = fused.about["parts"]
    assert parts["0"] == {"name": "mine", "fingerprint": mine.fingerprint}
    assert parts["1"]["name"].startswith("parts/popular-")
    assert not [name for name in fused.files if name.startswith(("0.", "1."))]
    assert fused.about["settings"]["parts"]["mine"] == {"recipe": "sr", **mine.about["settings"]}
    assert {a.name for a in part_artifacts(fused).values()} == {"mine", Path(parts["1"]["name"]).name}
    assert [f.name for f in workspace.folders("model")] == ["fused", "mine"]  # parts are no models of the user
    assert workspace.find("model").name == "fused"


def test_a_loaded_composite_equals_the_trained_one(workspace: Workspace) -> None:
    model = Fusion("mine=9,popular=5", {"mine": {"recipe": "sr", "steps": 3}}, window=0.3).fit(two_kinds(400))
    loaded = load_model(workspace.find("model", "fused"))
    assert loaded.arrays.keys() == model.arrays.keys()
    queries = of_lists([["c3", "c4"], ["g11"], []], model.vocab)
    first, second = loaded.recommend(queries, 20), model.recommend(queries, 20)
    assert np.array_equal(first.rows, second.rows) and np.array_equal(first.scores, second.scores)


def test_missing_and_replaced_parts_are_refused(workspace: Workspace) -> None:
    mine = workspace.folder("model", "mine")
    train_model(SequentialRules(steps=2), source_of(workspace), mine)
    with pytest.raises(ArtifactError, match="model fused was trained with another part mine than the one in "):
        load_model(workspace.find("model", "fused"))
    shutil.rmtree(mine)
    with pytest.raises(ArtifactError, match="model fused needs its part mine, but "):
        load_model(workspace.find("model", "fused"))


@pytest.mark.parametrize("name", ["../sessions/s", "parts/../mine", "other/mine", "/etc", ".."])
def test_parts_outside_of_the_models_are_not_read(workspace: Workspace, name: str) -> None:
    file = workspace.folder("model", "fused") / artifacts.MANIFEST
    manifest = json.loads(file.read_text())
    manifest["about"]["parts"]["0"]["name"] = name
    manifest.pop("digest")
    file.write_text(json.dumps({**manifest, "digest": artifacts.json_digest(manifest)}))
    with pytest.raises(ArtifactError, match="which is no model beside it"):
        load_model(workspace.find("model", "fused"))


def test_parts_of_another_folder_are_written_inline(workspace: Workspace, tmp_path: Path) -> None:
    loaded = load_model(workspace.find("model", "fused"))
    sources = part_artifacts(workspace.find("model", "fused"))
    save_model(loaded, tmp_path / "elsewhere" / "copy", {}, parts=sources)
    copy = artifacts.read(tmp_path / "elsewhere" / "copy", "model")
    assert "parts" not in copy.about and load_model(copy).arrays.keys() == loaded.arrays.keys()


def test_a_composite_is_written_only_if_better(workspace: Workspace) -> None:
    source, folder = source_of(workspace), workspace.folder("model", "new")
    recipe = Fusion("mine=9,popular=5", window=0.3)
    with pytest.raises(TargetNotMet, match="; nothing is written without --force") as error:
        train_model(recipe, source, folder)
    assert not folder.exists()
    assert [set(point) for point in error.value.points] == [{"model", "ndcg@20", "recall@20", "mrr@20"}] * 3
    forced = train_model(recipe, source, folder, context=FORCED)
    assert forced.about["forced"] is True and forced.about["validation"]["better"] is False
    better = train_model(Fusion("mine=20,cooccurrence=20", window=0.3), source, folder)
    assert better.about["validation"]["low"] > 0 and "forced" not in better.about


def test_evaluations_reuse_parts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    task = open_evaluation_task(source_of(workspace), split="tail:share=.2")
    first = model_to_evaluate(workspace, "fused", task)
    assert first.origin == "retrained on the training part with its settings"
    parts = sorted((workspace.root / "models" / "parts").iterdir())
    monkeypatch.setattr(SequentialRules, "fit", None)
    second = model_to_evaluate(workspace, "fused", task)
    assert sorted((workspace.root / "models" / "parts").iterdir()) == parts
    from embedrec.evaluation.evaluate import EvaluationSettings

    settings = EvaluationSettings(draws=0)
    values = [evaluate_task(task, evaluated.model, settings).metrics["mrr@20"] for evaluated in (first, second)]
    assert values[0] == values[1] > 0.3


def test_a_comparison_takes_models_that_were_trained_as_parts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = open_evaluation_task(source_of(workspace), split="tail:share=.2")
    alone = model_to_evaluate(workspace, "popular", task)
    assert alone.seconds is not None and alone.origin == "trained now on the training part"
    model_to_evaluate(workspace, "fused", task)
    monkeypatch.setattr(Popular, "fit", None)
    again = model_to_evaluate(workspace, "popular", task)
    assert again.seconds is None
    assert again.origin == "trained before on the training part, as a part of a composite model"
    queries = of_lists([["c3"]], again.model.vocab)
    assert again.model.recommend(queries, 9).ids() == alone.model.recommend(queries, 9).ids()
    other = open_evaluation_task(source_of(workspace), split="tail:share=.4")
    with pytest.raises(TypeError):
        model_to_evaluate(workspace, "popular", other)


def test_models_of_a_comparison_are_trained_once_before_the_composite_or_after(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    fit = Popular.fit

    def counted(recipe: Popular, sessions: Any, **options: Any) -> Any:
        lengths.append(len(sessions))
        return fit(recipe, sessions, **options)

    monkeypatch.setattr(Popular, "fit", counted)
    task = open_evaluation_task(source_of(workspace), split="tail:share=.2")
    names = ("popular", "random", "fused")
    options = TrainingOptions(keep=parts_to_keep(workspace, dict.fromkeys(names, TrainingOptions()), task))
    assert sorted(name.rpartition("-")[0] for name in options.keep) == ["popular", "sr"]
    models = {name: model_to_evaluate(workspace, name, task, options).model for name in names}
    whole = len(task.train)
    assert lengths[0] == whole and lengths.count(whole) == 1 and len(lengths) == 2  # the other is before the window
    kept = {folder.name.rpartition("-")[0] for folder in (workspace.root / "models" / "parts").iterdir()}
    assert kept == {"popular", "sr"}  # random is no part
    shutil.rmtree(workspace.root / "models" / "parts")
    train_model(SequentialRules(steps=3), source_of(workspace), workspace.folder("model", "mine"))
    alone = model_to_evaluate(workspace, "fused", task).model
    queries = of_lists([["c3"], ["g11", "g12"]], alone.vocab)
    assert models["fused"].recommend(queries, 9).ids() == alone.recommend(queries, 9).ids()
    assert parts_to_keep(workspace, {"popular": TrainingOptions(), "mine": TrainingOptions()}, task) == frozenset()


def test_composites_that_are_not_trained_again_keep_nothing(workspace: Workspace) -> None:
    task = open_evaluation_task(source_of(workspace), split="tail:share=.2")
    task.train.save(workspace.folder("sessions", "early"), {})
    early = workspace.find("sessions", "early")
    train_model(SequentialRules(steps=3), early, workspace.folder("model", "mine"))
    train_model(Fusion("mine=9,popular=5", window=0.3), early, workspace.folder("model", "fused"), context=FORCED)
    whole = dataclasses.replace(task, source=early, whole_artifact=True)
    assert parts_to_keep(workspace, {"fused": TrainingOptions()}, whole) == frozenset()
    assert len(parts_to_keep(workspace, {"fused": TrainingOptions(seed=1, pairs=["window=.2"])}, whole)) == 2


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ("mine=3,minne=3", "candidates name the model 'minne', which does not exist; did you mean 'mine'?"),
        ("mine=3,zzz=3", "candidates name the model 'zzz', which does not exist; valid are "),
        (
            "mine=3,foreign=3",
            "model foreign was imported and may know the last window, so it cannot propose",
        ),
        ("mine=3,old=3", "model old was trained on the sessions s, not on s as they are now; train it again on s"),
        ("mine=3,fused=3", "fused cannot propose candidates, as it ranks those of other models; name these instead"),
    ],
)
def test_invalid_parts_are_refused(workspace: Workspace, candidates: str, message: str) -> None:
    sessions = two_kinds(400)
    vectors = np.ones((len(sessions.vocab), 2), np.float32)
    imported: Any = Vectors().from_arrays(sessions.vocab, {"items": vectors})
    save_model(imported, workspace.folder("model", "foreign"), {})
    old = {"name": "s", "fingerprint": "0" * 64}
    save_model(SequentialRules().fit(sessions), workspace.folder("model", "old"), {"trained_on": old})
    with pytest.raises(SettingsError) as error:
        train_model(Fusion(candidates), source_of(workspace), workspace.folder("model", "new"))
    assert message in str(error.value)


def test_default_candidates_are_recipes_where_models_of_that_name_do_not_fit(workspace: Workspace) -> None:
    sessions, source, old = two_kinds(400), source_of(workspace), {"name": "s", "fingerprint": "0" * 64}
    vectors: Any = {"items": np.ones((len(sessions.vocab), 2), np.float32)}
    save_model(Vectors().from_arrays(sessions.vocab, vectors), workspace.folder("model", "mf"), {})
    save_model(SequentialRules(steps=2).fit(sessions), workspace.folder("model", "sr"), {"trained_on": old})
    train_model(Cooccurrence(measure="raw"), source, workspace.folder("model", "cooccurrence"))
    prepared, store = prepare_parts(Fusion(), sessions, source, whole=True)
    assert [artifact.name for artifact in store.existing] == ["cooccurrence"]
    assert sorted(prepared.parts) == ["cooccurrence"] and prepared.parts["cooccurrence"]["measure"] == "raw"
    assert {"mf", "sr"} <= {name for name, _ in parse_candidates(prepared.candidates)}
    for name in ("mf", "sr"):
        with pytest.raises(SettingsError, match=f"^model {name} was "):
            prepare_parts(Fusion(f"{name}=3,popular=3"), sessions, source, whole=True)


def test_given_settings_override_those_of_the_workspace(workspace: Workspace) -> None:
    recipe = Fusion("mine=3,popular=3", {"mine": {"steps": 7}})
    prepared, store = prepare_parts(recipe, two_kinds(400), source_of(workspace), whole=True)
    assert prepared.parts == {"mine": {**workspace.find("model", "mine").about["settings"], "recipe": "sr", "steps": 7}}
    assert [artifact.name for artifact in store.existing] == ["mine"]
    assert prepare_parts(recipe, two_kinds(400), source_of(workspace))[1].existing == ()


NEURAL = Fusion("gru4rec=5,popular=5", {"gru4rec": {"layers": "4", "epochs": 1, "patience": None}}, window=0.3)


@pytest.fixture
def devices_of_parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices on which GRU4Rec is trained, on a machine that seems to have a GPU."""
    trained_on: list[str] = []
    fit = GRU4Rec.fit

    def recorded(recipe: GRU4Rec, sessions: Any, *, context: TrainingContext, **options: Any) -> Any:
        trained_on.append(context.device)
        return fit(recipe, sessions, **options)

    monkeypatch.setattr(GRU4Rec, "fit", recorded)
    monkeypatch.setattr(devices, "resolve_device", lambda requested, **_: "cpu" if requested == "cpu" else "cuda")
    return trained_on


@pytest.mark.parametrize(("requested", "used"), [("cuda", "cuda"), ("auto", "cuda"), ("cpu", "cpu")])
def test_parts_that_train_with_torch_use_the_device(
    workspace: Workspace, devices_of_parts: list[str], requested: str, used: str
) -> None:
    events: list[dict[str, Any]] = []
    folder = workspace.folder("model", "new")
    with training_context(NEURAL, requested, folder, resume=False, environment={}) as context:
        done = train_model(
            NEURAL,
            source_of(workspace),
            folder,
            report=lambda event, **numbers: events.append({"event": event, **numbers}),
            context=dataclasses.replace(context, force=True),
        )
    assert devices_of_parts == [used, used]
    assert done.about.get("device", "cpu") == used
    assert [e["chosen"] for e in events if e["event"] == "device"] == ["cuda"] * (requested == "auto")


def test_evaluated_composites_use_the_device(workspace: Workspace, devices_of_parts: list[str]) -> None:
    train_model(NEURAL, source_of(workspace), workspace.folder("model", "neural"), context=FORCED)
    task = open_evaluation_task(source_of(workspace), split="tail:share=.2")
    model_to_evaluate(workspace, "neural", task, TrainingOptions(device="cuda"))
    assert devices_of_parts == ["cpu", "cpu", "cuda", "cuda"]


def test_composites_train_on_a_gpu(workspace: Workspace) -> None:
    if not devices.torch.cuda.is_available():
        pytest.skip("there is no GPU that torch can use")
    context = TrainingContext("cuda", force=True)
    done = train_model(NEURAL, source_of(workspace), workspace.folder("model", "new"), context=context)
    assert done.about["device"].startswith("cuda")


def test_a_gpu_that_no_part_uses_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(SettingsError, match="no part of fusion trains with torch; leave --device out"):
        prepare_parts(Fusion("sr=3,popular=3"), two_kinds(400), source_of(workspace), device="cuda")
    assert (
        prepare_parts(Fusion("sr=3,popular=3"), two_kinds(400), source_of(workspace), device="auto")[1].device == "cpu"
    )


@pytest.mark.parametrize(
    ("recipe", "devices_for"),
    [(Popular(), ["cpu", "cpu", "cpu"]), (GRU4Rec(), ["cpu", "cuda", "auto"]), (Fusion(), ["cpu", "auto", "auto"])],
)
def test_a_device_for_several_recipes(recipe: Any, devices_for: list[str]) -> None:
    assert [device_for(recipe, requested) for requested in ("cpu", "cuda", "auto")] == devices_for


def test_default_candidates_without_torch_say_what_is_missing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, notes = source_of(workspace), []

    def report(event: str, **numbers: Any) -> None:
        if event == "note":
            notes.append(numbers["message"])

    prepare_parts(Fusion(), two_kinds(400), source, report=report)
    assert not notes
    monkeypatch.setitem(sys.modules, "torch", None)
    prepared, _ = prepare_parts(Fusion(), two_kinds(400), source, report=report)
    assert prepared.candidates == "vstan=100,mf=100,word2vec=100,sr=50,cooccurrence=50"
    prepare_parts(Fusion("mine=9,popular=5"), two_kinds(400), source, report=report)
    assert notes == [
        "sasrec, usually the best part, is not among the candidates, as it needs the package torch; "
        "install it with `pip install 'embedrec[torch]'`"
    ]


def test_a_composite_model_answers_with_the_version_of_a_part_that_was_refreshed(workspace: Workspace) -> None:
    fused, mine = workspace.find("model", "fused"), workspace.find("model", "mine")
    histories = of_lists([["c3"], ["c7"]], load_model(fused).vocab)
    before = load_model(fused).recommend(histories, 5)
    staged = train_model(
        SequentialRules(steps=1), source_of(workspace), workspace.root / ".refresh" / "models" / "mine"
    )
    switch(workspace, [Staged(staged, mine)], command="refresh")
    assert part_artifacts(fused)["0"].folder == workspace.root / "versions" / "1" / "models" / "mine"
    after = load_model(workspace.find("model", "fused")).recommend(histories, 5)
    assert np.array_equal(before.rows, after.rows) and np.array_equal(before.scores, after.scores)
    verdicts = verify_workspace(workspace).verdicts
    assert [v.verdict[:2] for v in verdicts if v.name == "fused: mine"] == ["ok"]
    assert [one.what for one in collect_garbage(workspace, 0)] == ["part"] * 2  # of the window
    assert load_model(fused).recommend(histories, 5).rows.tolist() == before.rows.tolist()
    switch(workspace, [Staged(None, fused)], command="test")  # a kept composite model finds its parts, too
    kept = workspace.version("model", "fused", fused.fingerprint)
    assert kept is not None and kept.folder.is_relative_to(workspace.root / "versions")
    assert load_model(kept).recommend(histories, 5).rows.tolist() == before.rows.tolist()
