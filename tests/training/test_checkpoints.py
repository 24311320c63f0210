"""Resuming gives the same bytes as never having stopped; a checkpoint of another training is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from embedrec import artifacts
from embedrec.errors import ArtifactError, SettingsError
from embedrec.models.files import save_model
from embedrec.models.two_tower import TwoTower
from embedrec.reporting import quiet
from embedrec.training.loop import train
from embedrec.training.plan import Plan
from embedrec.training.run import HERE, Run
from tests.training.toy import LineLearner, clustered_sessions

PLAN = Plan(epochs=6, patience=None)
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
def test_resumed_is_uninterrupted(tmp_path: Path, stop: int, judged: bool) -> None:
    """With dropout, a schedule, the moments of two optimisers, and an early stop that looks back."""
    plan = Plan(epochs=6, patience=4 if judged else None, schedule="linear")

    def trained(run: Run, report: Any = quiet) -> LineLearner:
        learner = LineLearner(dropout=0.3)
        values = [0.1, 0.9, 0.3, 0.3, 0.4, 0.2]
        state = {"epoch": len(artifacts.read(folder).about["epochs"]) if run.resume else 0}

        def judge() -> dict[str, float]:
            state["epoch"] += 1
            return {"recall@20": values[state["epoch"] - 1], "mrr@20": 0.0}

        train(learner, plan, seed=3, run=run, report=report, identity=WHO, judge=judge if judged else None)
        return learner

    folder = tmp_path / "checkpoints" / "line"
    whole = trained(HERE)
    with pytest.raises(StoppedError):
        trained(Run(checkpoint=folder), stopping_at(stop))
    artifact = artifacts.read(folder, "checkpoint")
    artifact.check()
    assert len(artifact.about["epochs"]) == stop
    told: list[tuple[str, Any]] = []
    again = trained(Run(checkpoint=folder, resume=True), lambda event, **n: told.append((event, n.get("epoch"))))
    assert again.bytes() == whole.bytes()
    assert told[0] == ("resumed", stop)
    assert [n for event, n in told if event == "epoch"] == [1, 2, 3, 4, 5, 6]
    assert {type(f) for f in folder.iterdir()} and all(f.suffix in (".npy", ".json") for f in folder.iterdir())


def test_an_optimiser_that_had_nothing_to_do_is_resumed(tmp_path: Path) -> None:
    """Its state is empty, so that no file says it is there; so it is with two towers of ids alone."""

    class Idle(LineLearner):
        def optimizers(self) -> list[torch.optim.Optimizer]:
            unused = torch.nn.Parameter(torch.zeros(2))
            return [*super().optimizers(), torch.optim.AdamW([unused], 0.1)]

    def trained(run: Run, report: Any = quiet) -> LineLearner:
        learner = Idle()
        train(learner, Plan(epochs=3), seed=3, run=run, report=report, identity=WHO)
        return learner

    with pytest.raises(StoppedError):
        trained(Run(checkpoint=tmp_path / "line"), stopping_at(2))
    assert trained(Run(checkpoint=tmp_path / "line", resume=True)).bytes() == trained(HERE).bytes()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", 4, "seed was 3, but is 4"),
        ("settings", {"epochs": 9, "dim": 2}, "settings epochs was 6, but is 9"),
        ("data", "e" * 64, "data differ"),
        ("recipe", "curve", "recipe was 'line', but is 'curve'"),
    ],
)
def test_a_checkpoint_of_another_training(tmp_path: Path, key: str, value: Any, message: str) -> None:
    run = Run(checkpoint=tmp_path / "c")
    train(LineLearner(), PLAN, seed=3, run=run, report=quiet, identity=WHO)
    with pytest.raises(SettingsError, match=rf"is of another training \({message}\); train with the same, or without"):
        other = {**WHO, key: value}
        again = Run(checkpoint=tmp_path / "c", resume=True)
        train(LineLearner(), PLAN, seed=3, run=again, report=quiet, identity=other)


def test_no_checkpoint_and_a_damaged_one(tmp_path: Path) -> None:
    run = Run(checkpoint=tmp_path / "c", resume=True)
    with pytest.raises(SettingsError, match=r"there is no checkpoint in .*c to resume; train without --resume"):
        train(LineLearner(), PLAN, seed=3, run=run, report=quiet, identity=WHO)
    train(LineLearner(), PLAN, seed=3, run=Run(checkpoint=tmp_path / "c"), report=quiet, identity=WHO)
    (tmp_path / "c" / "weights.table.npy").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="is damaged"):
        train(LineLearner(), PLAN, seed=3, run=run, report=quiet, identity=WHO)


def test_weights_of_another_shape(tmp_path: Path) -> None:
    train(LineLearner(), PLAN, seed=3, run=Run(checkpoint=tmp_path / "c"), report=quiet, identity=WHO)
    other = LineLearner()
    import torch

    other.module.table = torch.nn.Parameter(torch.zeros(7, 2))
    with pytest.raises(ArtifactError, match=r"weights.table has shape \(6, 2\) where \(7, 2\) is needed"):
        train(other, PLAN, seed=3, run=Run(checkpoint=tmp_path / "c", resume=True), report=quiet, identity=WHO)


RECIPE = {"dim": 8, "epochs": 5, "batch": 32, "negatives": 16, "users": True, "query_layers": "6", "patience": 3}
KILLED = """
import json, os, signal, sys
from pathlib import Path
from embedrec.models.two_tower import TwoTower
from embedrec.training.run import Run
from tests.training.toy import clustered_sessions

done = 0
def report(event, **numbers):
    global done
    if event == "epoch":
        done = numbers["epoch"]
    if event == "progress" and done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

run = Run(checkpoint=Path(sys.argv[2]))
TwoTower(**json.loads(sys.argv[1])).fit(clustered_sessions(), seed=7, report=report, run=run)
"""


def test_after_a_kill_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL in the third epoch of a two-tower network; the resumed artifact is that of a run without one."""
    folder, root = tmp_path / "checkpoint", Path(__file__).parents[2]
    words = [sys.executable, "-c", KILLED, json.dumps(RECIPE), str(folder)]
    done = subprocess.run(words, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(artifacts.read(folder).about["epochs"]) == 2
    recipe = TwoTower(**RECIPE)  # type: ignore[arg-type]
    prints = []
    for name, run in (("resumed", Run(checkpoint=folder, resume=True)), ("whole", HERE)):
        save_model(recipe.fit(clustered_sessions(), seed=7, run=run), tmp_path / name, {})
        prints.append(artifacts.read(tmp_path / name).fingerprint)
    assert prints[0] == prints[1]
