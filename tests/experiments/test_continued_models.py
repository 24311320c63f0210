"""`[[train]]` with `from`: a model continues that of an earlier table, in its space."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.config import settings_of
from embedrec.errors import SettingsError
from embedrec.experiments.parse import read_experiment
from embedrec.experiments.runner import step_context
from embedrec.experiments.step import Experiment
from embedrec.experiments.train_step import Train
from embedrec.models.serialization import load_vector_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage.workspace import Workspace
from embedrec.vectors.space import space_of
from tests.experiments.conftest import steps_run
from tests.workflows.refresh.nights import clicks

EXPERIMENT = """\
[prepare]
source = "table"
paths = ["{data}/old.csv"]
name = "clicks"

[[train]]
model = "word2vec"
name = "first"
set = {dim = 4, epochs = 3, min_count = 1}

[[train]]
model = "word2vec"
name = "aligned"
from = "first"
align = true
set = {epochs = 1}

[[train]]
model = "word2vec"
name = "frozen"
from = "first"
frozen = true

[[train]]
model = "word2vec"
name = "free"
from = "aligned"
"""


def read(folder: Path, text: str = EXPERIMENT) -> Experiment:
    if not (folder / "old.csv").exists():
        (folder / "old.csv").write_text(clicks(range(2)))
    (folder / "nights.toml").write_text(text)
    return read_experiment(folder / "nights.toml", data=str(folder))


def test_models_are_continued_in_the_space_that_is_asked_for(tmp_path: Path) -> None:
    experiment = read(tmp_path)
    context = step_context(experiment, Workspace(tmp_path / "w"))
    names = ("first", "aligned", "frozen", "free")
    assert steps_run(experiment, context) == ["prepare", *(f"train {name}" for name in names)]
    models = {name: context.workspace.find("model", name) for name in names}
    first = models["first"]
    for name, start in (("aligned", "first"), ("frozen", "first"), ("free", "aligned")):
        assert models[name].about["continued_from"]["fingerprint"] == models[start].fingerprint
    assert space_of(first) == space_of(models["aligned"]) == space_of(models["frozen"]) != space_of(models["free"])
    one, other = (load_vector_model(models[name]).embeddings.vectors for name in ("first", "frozen"))
    assert one.tobytes() == other.tobytes()
    assert models["aligned"].about["settings"]["epochs"] == 1
    assert steps_run(experiment, context) == []
    changed = read(tmp_path, EXPERIMENT.replace("align = true", "align = false"))
    assert steps_run(changed, context) == ["train aligned", "train free"]


def test_settings_are_those_of_the_first_model_for_a_warm_start(tmp_path: Path) -> None:
    steps = [step for step in read(tmp_path).steps if isinstance(step, Train)]
    first = Word2Vec(dim=4, epochs=3, min_count=1)
    assert [step.recipes[0] for step in steps[:3]] == [
        first,
        Word2Vec(**{**settings_of(first.continuing(changes=True)), "epochs": 1}),
        first,
    ]
    assert [step.after for step in steps] == [
        ("prepare",), ("prepare", "train first"), ("prepare", "train first"), ("prepare", "train aligned")
    ]  # fmt: skip
    assert not {"from", "align", "frozen"} & steps[0].settings().keys()
    assert steps[1].settings()["from"] == "first" and steps[1].settings()["align"] is True


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('from = "first"\nalign', "align", r"[[train]] aligned needs the model whose space is kept; name it with from"),
        ('from = "first"\nfrozen', "frozen", "[[train]] frozen needs the model whose space is kept; name it with from"),
        ('from = "first"\nalign', 'from = "frist"\nalign', "[[train]] aligned names 'frist', which this experiment "),
        ('from = "first"\nalign', 'from = "frozen"\nalign', "[[train]] aligned names 'frozen', which this experiment "),
        (
            'model = "word2vec"\nname = "free"',
            'model = "svd"\nname = "free"',
            "[[train]] free cannot continue from aligned: aligned is a model of word2vec; leave from out",
        ),
        (
            'from = "aligned"',
            'from = "aligned"\ngrid = {epochs = [1, 2]}',
            "[[train]] free cannot continue from aligned with a grid; leave one of them out",
        ),
        (
            "frozen = true",
            "frozen = true\nset = {epochs = 2}",
            "[[train]] frozen keeps vectors and settings of first with frozen; leave align and set out",
        ),
        ("align = true", "algin = true", "unknown setting 'algin' in [[train]]; did you mean 'align'?"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        read(tmp_path, EXPERIMENT.replace(old, new))
    assert str(error.value).startswith(message)
