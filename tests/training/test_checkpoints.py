"""Resuming gives the same bytes as never having stopped; a checkpoint of another training is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embedrec.errors import ArtifactError, SettingsError
from embedrec.models.serialization import save_model
from embedrec.models.two_tower.recipe import TwoTower
from embedrec.progress import quiet
from embedrec.storage import artifacts
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext
from embedrec.training.loop import train
from embedrec.training.row_adagrad import RowAdagrad
from embedrec.training.row_adamw import RowAdamW
from embedrec.training.settings import TrainingSettings
from tests.training.toy import LineLearner, clustered_sessions

PLAN = TrainingSettings(epochs=6, patience=None)
WHO: dict[str, Any] = {"recipe": "line", "settings": {"epochs": 6, "dim": 2}, "seed": 3, "data": "d" * 64}


class StoppedError(Exception):
    pass


def stopping_at(epoch: int) -> Any:
    def report(event: str, **numbers: Any) -> None:
        if event == "epoch" and numbers["epoch"] == epoch:
            raise StoppedError

    return report


@pytest.mark.parametrize("stop", [1, 3, 6])
@pytest.mark.parametrize("judged", [False, True])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path, stop: int, judged: bool) -> None:
    """With dropout, a schedule, the moments of two optimisers, and an early stop that looks back."""
    plan = TrainingSettings(epochs=6, patience=4 if judged else None, schedule="linear")

    def trained(context: TrainingContext, report: Any = quiet) -> LineLearner:
        learner = LineLearner(dropout=0.3)
        values = [0.1, 0.9, 0.3, 0.3, 0.4, 0.2]
        state = {"epoch": len(artifacts.read(folder).about["epochs"]) if context.resume else 0}

        def validate() -> dict[str, float]:
            state["epoch"] += 1
            return {"recall@20": values[state["epoch"] - 1], "mrr@20": 0.0}

        train(
            learner, plan, seed=3, context=context, report=report, identity=WHO, validate=validate if judged else None
        )
        return learner

    folder = tmp_path / "checkpoints" / "line"
    whole = trained(DEFAULT_CONTEXT)
    with pytest.raises(StoppedError):
        trained(TrainingContext(checkpoint=folder), stopping_at(stop))
    artifact = artifacts.read(folder, "checkpoint")
    artifact.check()
    assert len(artifact.about["epochs"]) == stop
    reports: list[tuple[str, Any]] = []
    again = trained(
        TrainingContext(checkpoint=folder, resume=True), lambda event, **n: reports.append((event, n.get("epoch")))
    )
    assert again.bytes() == whole.bytes()
    assert reports[0] == ("resumed", stop)
    assert [n for event, n in reports if event == "epoch"] == [1, 2, 3, 4, 5, 6]
    assert {type(f) for f in folder.iterdir()} and all(f.suffix in (".npy", ".json") for f in folder.iterdir())


def test_an_optimizer_without_steps_is_resumed(tmp_path: Path) -> None:
    """Its state is empty, so that no file says it is there; so it is with two towers of ids alone."""

    class Idle(LineLearner):
        def optimizers(self) -> list[torch.optim.Optimizer]:
            unused = torch.nn.Parameter(torch.zeros(2))
            return [*super().optimizers(), torch.optim.AdamW([unused], 0.1)]

    def trained(context: TrainingContext, report: Any = quiet) -> LineLearner:
        learner = Idle()
        train(learner, TrainingSettings(epochs=3), seed=3, context=context, report=report, identity=WHO)
        return learner

    with pytest.raises(StoppedError):
        trained(TrainingContext(checkpoint=tmp_path / "line"), stopping_at(2))
    assert (
        trained(TrainingContext(checkpoint=tmp_path / "line", resume=True)).bytes() == trained(DEFAULT_CONTEXT).bytes()
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", 4, "seed was 3, but is 4"),
        ("settings", {"epochs": 9, "dim": 2}, "settings epochs was 6, but is 9"),
        ("data", "e" * 64, "data differ"),
        ("recipe", "curve", "recipe was 'line', but is 'curve'"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, key: str, value: Any, message: str) -> None:
    context = TrainingContext(checkpoint=tmp_path / "c")
    train(LineLearner(), PLAN, seed=3, context=context, report=quiet, identity=WHO)
    with pytest.raises(
        SettingsError, match=rf"belongs to another training \({message}\); use the same settings and data, or"
    ):
        other = {**WHO, key: value}
        again = TrainingContext(checkpoint=tmp_path / "c", resume=True)
        train(LineLearner(), PLAN, seed=3, context=again, report=quiet, identity=other)


def test_missing_and_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    context = TrainingContext(checkpoint=tmp_path / "c", resume=True)
    with pytest.raises(SettingsError, match=r"there is no checkpoint in .*c to resume; train without --resume"):
        train(LineLearner(), PLAN, seed=3, context=context, report=quiet, identity=WHO)
    train(LineLearner(), PLAN, seed=3, context=TrainingContext(checkpoint=tmp_path / "c"), report=quiet, identity=WHO)
    (tmp_path / "c" / "weights.table.npy").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="is damaged"):
        train(LineLearner(), PLAN, seed=3, context=context, report=quiet, identity=WHO)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    train(LineLearner(), PLAN, seed=3, context=TrainingContext(checkpoint=tmp_path / "c"), report=quiet, identity=WHO)
    other = LineLearner()
    import torch

    other.module.table = torch.nn.Parameter(torch.zeros(7, 2))
    with pytest.raises(ArtifactError, match=r"weights.table has shape \(6, 2\) where \(7, 2\) is needed"):
        train(
            other,
            PLAN,
            seed=3,
            context=TrainingContext(checkpoint=tmp_path / "c", resume=True),
            report=quiet,
            identity=WHO,
        )


def sign(folder: Path, change: Callable[[dict[str, Any]], Any] = lambda about: None) -> None:
    """Make the manifest fit the files, as whoever forges a checkpoint would."""
    about = artifacts.read(folder).about
    change(about)
    arrays = {f.name: f.read_bytes() for f in folder.iterdir() if f.suffix == ".npy"}
    shutil.rmtree(folder)
    with artifacts.writing(folder, "checkpoint", about) as draft:
        for name, content in arrays.items():
            draft.path(name).write_bytes(content)


class TableLearner(LineLearner):
    """The same with an optimiser of ours, whose steps are compiled kernels."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def optimizers(self) -> list[torch.optim.Optimizer]:
        table, others = self.module.table, self.module.shift
        assert isinstance(table, torch.nn.Parameter) and isinstance(others, torch.nn.Parameter)
        ours = RowAdagrad([table], 0.05, 0.5) if self.kind == "adagrad" else RowAdamW([table], 0.05)
        return [ours, torch.optim.AdamW([others], 0.05)]


FORGED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "fewer rows": lambda a: a[: len(a) // 2] if a.ndim else np.zeros((0,), a.dtype),
    "more rows": lambda a: np.stack([a, a]),
    "no rows": lambda a: a[:0] if a.ndim else np.zeros((1, 1), a.dtype),
    "other axes": lambda a: a.T if a.ndim == 2 else a[..., None],
    "float64": lambda a: a.astype(np.float64) if a.dtype != np.float64 else a.astype(np.float32),
    "whole numbers": lambda a: a.astype(np.int32),
    "the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "NaN": lambda a: np.full_like(a, np.nan) if a.dtype.kind == "f" else a - 10**6,
    "infinity": lambda a: np.full_like(a, np.inf) if a.dtype.kind == "f" else a * 0,
}


@pytest.mark.parametrize("kind", ["adagrad", "adamw"])
@pytest.mark.parametrize("how", FORGED)
def test_arrays_of_optimizers_that_do_not_fit_are_refused(tmp_path: Path, kind: str, how: str) -> None:
    """The optimisers' steps write where these arrays are said to be."""
    who = WHO | {"settings": {"epochs": 2}}
    with pytest.raises(StoppedError):
        context = TrainingContext(checkpoint=tmp_path / "c")
        train(
            TableLearner(kind), TrainingSettings(epochs=2), seed=3, context=context, report=stopping_at(1), identity=who
        )
    arrays = {f.name: f.read_bytes() for f in (tmp_path / "c").glob("*.npy")}
    assert {name.split(".")[0] for name in arrays} == {"weights", "optimizer0", "optimizer1"}
    for name, content in arrays.items():
        np.save(tmp_path / "c" / name, FORGED[how](np.load(tmp_path / "c" / name)))
        sign(tmp_path / "c")
        with pytest.raises(ArtifactError, match=name.removesuffix(".npy")):
            again = TrainingContext(checkpoint=tmp_path / "c", resume=True)
            train(TableLearner(kind), TrainingSettings(epochs=2), seed=3, context=again, report=quiet, identity=who)
        (tmp_path / "c" / name).write_bytes(content)
    sign(tmp_path / "c")
    again = TrainingContext(checkpoint=tmp_path / "c", resume=True)
    train(TableLearner(kind), TrainingSettings(epochs=2), seed=3, context=again, report=quiet, identity=who)


@pytest.mark.parametrize(
    "name", ["optimizer0.0.means", "optimizer0.7.sum", "optimizer5.0.sum", "optimizer999999999.0.sum", "optimizer0.0.x"]
)
def test_unknown_arrays_of_optimizers_are_refused(tmp_path: Path, name: str) -> None:
    context = TrainingContext(checkpoint=tmp_path / "c")
    train(TableLearner("adagrad"), PLAN, seed=3, context=context, report=quiet, identity=WHO)
    np.save(tmp_path / "c" / f"{name}.npy", np.zeros(3, dtype=np.float32))
    sign(tmp_path / "c")
    with pytest.raises(ArtifactError, match=name.rpartition(".")[0]):
        again = TrainingContext(checkpoint=tmp_path / "c", resume=True)
        train(TableLearner("adagrad"), PLAN, seed=3, context=again, report=quiet, identity=WHO)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("identity", 5), ("identity", [WHO]), ("epochs", {}), ("epochs", [5]), ("epochs", [{"epoch": 1}]),
        ("epochs", [{"epoch": "1", "epochs": 6, "loss": 1.0, "seconds": 1.0, "examples_per_second": 1}]),
        ("best_epoch", -1), ("best_epoch", 7), ("best_epoch", "x"), ("best_epoch", None), ("scaler", [1]),
        ("scaler", {"scale": "x"}), ("scaler", {"scale": 1.0}),
    ],
)  # fmt: skip
def test_impossible_numbers_of_a_checkpoint_are_refused(tmp_path: Path, key: str, value: Any) -> None:
    train(LineLearner(), PLAN, seed=3, context=TrainingContext(checkpoint=tmp_path / "c"), report=quiet, identity=WHO)
    sign(tmp_path / "c", lambda about: about.update({key: value}))
    with pytest.raises(ArtifactError, match="train without --resume"):
        again = TrainingContext(checkpoint=tmp_path / "c", resume=True)
        train(LineLearner(), PLAN, seed=3, context=again, report=quiet, identity=WHO)


RECIPE = {"dim": 8, "epochs": 5, "batch": 32, "negatives": 16, "users": True, "query_layers": "6", "patience": 3}
KILLED = """
import json, os, signal, sys
from pathlib import Path
from embedrec.models.two_tower.recipe import TwoTower
from embedrec.training.context import TrainingContext
from tests.training.toy import clustered_sessions

done = 0
def report(event, **numbers):
    global done
    if event == "epoch":
        done = numbers["epoch"]
    if event == "progress" and done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

context = TrainingContext(checkpoint=Path(sys.argv[2]))
TwoTower(**json.loads(sys.argv[1])).fit(clustered_sessions(), seed=7, report=report, context=context)
"""


def test_a_training_resumed_after_a_kill_has_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL in the third epoch of a two-tower network; the resumed artifact is that of a run without one."""
    folder, root = tmp_path / "checkpoint", Path(__file__).parents[2]
    words = [sys.executable, "-c", KILLED, json.dumps(RECIPE), str(folder)]
    done = subprocess.run(words, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(artifacts.read(folder).about["epochs"]) == 2
    recipe = TwoTower(**RECIPE)  # type: ignore[arg-type]
    prints = []
    for name, context in (("resumed", TrainingContext(checkpoint=folder, resume=True)), ("whole", DEFAULT_CONTEXT)):
        save_model(recipe.fit(clustered_sessions(), seed=7, context=context), tmp_path / name, {})
        prints.append(artifacts.read(tmp_path / name).fingerprint)
    assert prints[0] == prints[1]
