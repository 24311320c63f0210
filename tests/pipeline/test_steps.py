"""Steps write and read the artifacts of the command line."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from embedrec.data.sessions import Sessions
from embedrec.errors import ArtifactError, SettingsError, TargetNotMet
from embedrec.models import MODELS, recipe_class
from embedrec.models.vector_model import VectorModel
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.pipeline.prepare import prepare
from embedrec.pipeline.steps import BuiltIndex, PreparedSessions, TrainedModel
from tests.cli.conftest import Run, succeed
from tests.pipeline.conftest import COLUMNS, SMALL, visits


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of an artifact without its manifest, which contains times."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


def test_the_command_line_and_the_pipeline_write_the_same(run: Run, log: Path, tmp_path: Path) -> None:
    shell_root, python_root = tmp_path / "shell", tmp_path / "here"
    columns = ("--session", "visit", "--item", "sku", "--time", "at", "--title", "label")
    pairs = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    succeed(run, "prepare", "table", log, *columns, "--workspace", shell_root)
    succeed(run, "train", "word2vec", *pairs, "--threads", 1, "--workspace", shell_root)
    succeed(run, "build-index", "--type", "flat", "--workspace", shell_root)
    printed = succeed(run, "similar", "Item i03", "i14", "-n", 4, "--workspace", shell_root).rows

    sessions = prepare(log, workspace=python_root, threads=1, **COLUMNS)
    model = sessions.train("word2vec", **SMALL)
    index = model.build_index("flat")
    assert [step.artifact.folder.relative_to(python_root) for step in (sessions, model, index)] == [
        Path("sessions/visits"),
        Path("models/word2vec"),
        Path("indexes/word2vec-flat"),
    ]
    for step in (sessions, model, index):
        assert files_of(step.artifact.folder) == files_of(shell_root / step.artifact.folder.relative_to(python_root))
    table = index.similar(["Item i03", "i14"], 4)
    assert [[str(n.item), str(n.rank), n.similar, f"{n.score:.4f}", n.name] for n in table] == printed
    assert [r.item for r in model.recommend("i03", 3)] == [
        row[1] for row in succeed(run, "recommend", "i03", "-n", 3, "--workspace", shell_root).rows
    ]
    frame = prepare(visits(), threads=1, **COLUMNS).train("word2vec", **SMALL)
    assert files_of(frame.artifact.folder) == files_of(shell_root / "models" / "word2vec")


def test_the_command_line_and_the_pipeline_continue_each_other(run: Run, log: Path, tmp_path: Path) -> None:
    columns = ("--session", "visit", "--item", "sku", "--time", "at")
    succeed(run, "prepare", "table", log, *columns, "--workspace", tmp_path)
    model = PreparedSessions.open(tmp_path).train("cooccurrence")
    assert (
        succeed(run, "similar", "i03", "-n", 2, "--workspace", tmp_path).rows[0][2] == model.similar("i03", 2).ids()[0]
    )
    succeed(run, "train", "word2vec", "--set", "epochs=1", "--set", "min_count=1", "--workspace", tmp_path)
    assert TrainedModel.open(tmp_path).name == "word2vec"
    succeed(run, "build-index", "--type", "flat", "--workspace", tmp_path)
    index = BuiltIndex.open(tmp_path)
    assert index.name == "word2vec-flat" and len(index.index.vocab) == 20
    assert repr(index).startswith("index word2vec-flat: Flat, 20 items, dot, recall@")


def test_steps_of_a_replaced_artifact_are_refused(log: Path, tmp_path: Path) -> None:
    sessions = prepare(log, workspace=tmp_path, **COLUMNS)
    old = sessions.train("word2vec", **SMALL)
    sessions.train("word2vec", **{**SMALL, "dim": 4})
    with pytest.raises(ArtifactError, match=r"model word2vec was replaced .* with TrainedModel.open\("):
        old.similar("i03")
    prepare(log, workspace=tmp_path, top=10, **COLUMNS)
    with pytest.raises(
        ArtifactError, match="sessions visits was replaced after this object was made; open the new one"
    ):
        sessions.train("popular")
    with pytest.warns(UserWarning, match="model word2vec is stale"):
        TrainedModel.open(tmp_path)


def test_an_index_without_features_is_a_warning(log: Path, tmp_path: Path) -> None:
    """The warning names arguments in place of options, and the line that builds the index."""
    model = prepare(log, workspace=tmp_path, **COLUMNS).train("word2vec", **SMALL)
    prepare(log, workspace=tmp_path, top=10, **COLUMNS)
    with pytest.warns(UserWarning, match="without item features, so where=… cannot be used with it: ") as warned:
        index = model.build_index("flat")
    assert len(index.index.vocab) == 20
    assert [Path(warning.filename) for warning in warned] == [Path(__file__)]


def test_names_are_free_without_a_workspace(prepared: PreparedSessions) -> None:
    small, large = prepared.train("word2vec", **SMALL), prepared.train("word2vec", **{**SMALL, "dim": 12})
    assert large.name != small.name and large.name.startswith("word2vec-")
    assert isinstance(small.model, VectorModel) and isinstance(large.model, VectorModel)
    assert (small.model.embeddings.dim, large.model.embeddings.dim) == (8, 12)
    assert small.sessions.artifact.fingerprint == prepared.artifact.fingerprint
    assert repr(small).startswith(f"model {small.name}: word2vec, 20 items, trained in ")
    assert "<th>dim</th><td>8</td>" in small._repr_html_()


def test_models_are_trained_from_recipes_and_warm_starts(prepared: PreparedSessions) -> None:
    by_recipe = prepared.train(Word2Vec(**SMALL), epochs=2)
    assert by_recipe.artifact.about["settings"]["epochs"] == 2 and by_recipe.artifact.about["settings"]["dim"] == 8
    further = prepared.train("word2vec", start=by_recipe, epochs=1)
    assert further.artifact.about["continued_from"]["name"] == by_recipe.name
    assert further.artifact.about["settings"]["dim"] == 8
    with pytest.raises(SettingsError, match="random does not support warm starts; leave start=… out"):
        prepared.train("random", start=by_recipe)


def test_invalid_settings_are_refused(prepared: PreparedSessions) -> None:
    with pytest.raises(
        SettingsError, match="unknown setting 'epoch' in the settings of word2vec; did you mean 'epochs'"
    ):
        prepared.train("word2vec", epoch=2)
    with pytest.raises(SettingsError, match="no model is called 'word2vek'"):
        prepared.train("word2vek")
    with pytest.raises(SettingsError, match="does not support resume=…; leave it out"):
        prepared.train("popular", resume=True)
    model = prepared.train("word2vec", **SMALL)
    with pytest.raises(SettingsError, match="build_index has no argument 'nprobes'; did you mean 'nprobe'"):
        model.build_index("ivf", nprobes=3)
    with pytest.raises(TargetNotMet):
        model.build_index("flat", max_ram="1")


def test_a_composite_that_is_not_better_needs_force(prepared: PreparedSessions) -> None:
    settings = {"candidates": "popular=20,random=20", "window": 0.3}
    with pytest.raises(TargetNotMet, match="; nothing is written without force=True") as error:
        prepared.train("fusion", **settings)
    assert len(error.value.points) == 3
    forced = prepared.train("fusion", force=True, **settings)
    assert forced.artifact.about["forced"] is True and len(forced.recommend("i03", 5)) == 5
    with pytest.raises(SettingsError, match="force=True is for fusion and ranker, not for popular; leave it out"):
        prepared.train("popular", force=True)


def test_no_setting_has_the_name_of_an_argument() -> None:
    arguments = set(inspect.signature(PreparedSessions.train).parameters) - {"self", "settings"}
    for name in MODELS:
        assert not arguments & {field.name for field in fields(recipe_class(name))}, name


def test_indexes_of_sessions_have_settings_of_weights(prepared: PreparedSessions) -> None:
    model = prepared.train("word2vec", **SMALL)
    index = model.build_index("flat", of="sessions", weights={"plays": "once"})
    assert index.artifact.about["weights"]["plays"] == "once" and len(index.index.vocab) == 60


def test_evaluation_equals_that_of_the_command_line(run: Run, log: Path, tmp_path: Path) -> None:
    sessions = prepare(log, workspace=tmp_path, **COLUMNS)
    result = sessions.evaluate("sr", split="time:share=.2", draws=0, at=(5,))
    printed = succeed(
        run, "evaluate", "sr", "--split", "time:share=.2", "--draws", 0, "--at", 5, "--workspace", tmp_path
    )
    recall = next(row for row in printed.rows if row[0] == "recall")
    assert f"{result.metrics['recall@5']:.4f}" == recall[1]
    model = sessions.train("popular")
    assert model.evaluate(draws=0).metrics == sessions.evaluate(model, draws=0).metrics
    with pytest.raises(SettingsError, match="evaluate has no argument 'draw'; did you mean 'draws'"):
        model.evaluate(draw=3)


def test_sessions_are_loaded_once(prepared: PreparedSessions) -> None:
    assert isinstance(prepared.sessions, Sessions) and prepared.sessions is prepared.sessions
