"""`embedrec train`: notes, devices, checkpoints, resuming and memory limits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from embedrec.storage import artifacts
from embedrec.training import loop
from tests.cli.conftest import Run, fails, succeed

BRIEF = ("--set", "epochs=4", "--set", "dim=8", "--set", "negatives=32", "--threads", "1", "--device", "cpu")


@pytest.fixture
def prepared(run: Run, playlists: Path, tmp_path: Path) -> Path:
    succeed(run, "prepare", "mpd", playlists, "--level", "artist", "--workspace", tmp_path)
    return tmp_path


def test_a_two_tower_model_is_trained_indexed_and_evaluated(run: Run, prepared: Path) -> None:
    training = succeed(run, "train", "two-tower", *BRIEF, "--workspace", prepared)
    lines = training.err.splitlines()
    assert lines[1].startswith("vocabulary items=") and lines[1].endswith(" cold=0")
    assert lines[-2].startswith("best epoch=") and "recall@20=" in lines[-2]
    assert lines[-1] == f"wrote model two-tower ({prepared}/models/two-tower)"
    assert not list((prepared / "checkpoints").iterdir())  # the model is there, so its checkpoint is not needed
    about = artifacts.read(prepared / "models" / "two-tower").about
    assert [e["epoch"] for e in about["epochs"]] == list(range(1, len(about["epochs"]) + 1))
    assert {"loss", "examples_per_second", "recall@20", "mrr@20"} <= set(about["epochs"][0])
    assert succeed(run, "build-index", "--workspace", prepared).rows[0][0] == "two-tower-auto"
    assert succeed(run, "verify", "--workspace", prepared).code == 0
    result = json.loads(
        succeed(run, "evaluate", "two-tower", *BRIEF, "--draws", 0, "--json", "--workspace", prepared).out
    )
    assert result["recall@20"] > 0


def test_metrics_are_logged_for_tensorboard(run: Run, prepared: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logged = tmp_path / "runs"
    succeed(run, "train", "two-tower", *BRIEF, "--log-to", f"tensorboard:{logged}", "--workspace", prepared)
    events = EventAccumulator(str(logged / "two-tower")).Reload()
    epochs = artifacts.read(prepared / "models" / "two-tower").about["epochs"]
    for metric in ("loss", "recall@20"):
        scalars = events.Tensors(metric)
        assert [scalar.step for scalar in scalars] == [epoch["epoch"] for epoch in epochs]
        values = [scalar.tensor_proto.float_val[0] for scalar in scalars]
        assert values == pytest.approx([epoch[metric] for epoch in epochs])


def test_an_invalid_log_stops_before_training(run: Run, prepared: Path) -> None:
    failed = run("train", "two-tower", *BRIEF, "--log-to", "tensorbord:runs", "--workspace", prepared)
    assert (failed.code, failed.out) == (1, "")
    assert failed.err.splitlines()[-1].endswith("but is 'tensorbord:runs'; did you mean 'tensorboard'?")
    assert not (prepared / "models").exists()


class StoppedError(Exception):
    pass


def test_an_interrupted_training_is_resumed(run: Run, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("train", "two-tower", *BRIEF, "--workspace", prepared)
    succeed(run, *words, "--name", "whole")
    write = loop.checkpoints.write

    def write_and_interrupt(folder: Path, state: Any, identity: Any) -> None:
        write(folder, state, identity)
        if len(state.epochs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.checkpoints, "write", write_and_interrupt)
    assert run(*words).code == 130
    monkeypatch.undo()
    assert (prepared / "checkpoints" / "two-tower").is_dir()
    other = run(*words, "--seed", "1", "--resume")
    assert other.code == 1 and "belongs to another training (seed was 0, but is 1)" in other.err
    resumed = succeed(run, *words, "--resume")
    assert "resumed epoch=2 epochs=4\n" in resumed.err
    prints = [artifacts.read(prepared / "models" / name).fingerprint for name in ("two-tower", "whole")]
    assert prints[0] == prints[1]
    second = run(*words, "--resume")
    assert second.code == 1 and "there is no checkpoint in" in second.err


def test_a_checkpoint_that_is_not_resumed_is_noted(run: Run, prepared: Path) -> None:
    with artifacts.writing(prepared / "checkpoints" / "two-tower", "checkpoint", {"identity": {}}):
        pass
    result = succeed(run, "train", "two-tower", *BRIEF, "--workspace", prepared)
    assert "starting again; --resume continues the interrupted training in" in result.err


def test_test_metrics_of_epochs_choose_nothing(run: Run, prepared: Path) -> None:
    words = ("train", "two-tower", *BRIEF, "--report-test-epochs", "--workspace", prepared)
    failed = run(*words)
    assert failed.code == 1 and "have no held-out part to test on; cut one off with embedrec split" in failed.err
    succeed(run, "split", "tail:share=.2", "--workspace", prepared)
    result = succeed(run, *words)
    plain = succeed(run, *(word for word in words if word != "--report-test-epochs"), "--name", "plain")
    assert "test_recall@20=" in result.err and "test_recall@20=" not in plain.err
    tested, untested = (artifacts.read(prepared / "models" / name) for name in ("two-tower", "plain"))
    assert {"recall@20", "test_recall@20", "test_mrr@20"} <= tested.about["epochs"][-1].keys()
    assert tested.fingerprint == untested.fingerprint
    evaluated = succeed(run, "evaluate", "two-tower", "--json", "--workspace", prepared)
    best = max(tested.about["epochs"], key=lambda epoch: epoch["recall@20"])
    assert json.loads(evaluated.out)["recall@20"] == pytest.approx(best["test_recall@20"])
    failed = run("train", "sr", "--report-test-epochs", "--workspace", prepared)
    assert failed.code == 1 and "sr does not support --report-test-epochs; leave it out" in failed.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "sr", "--device", "cuda"), "sr trains on the CPU only; leave --device out"),
        (("train", "sr", "--resume"), "sr does not support --resume; leave it out"),
        (("evaluate", "sr", "--device", "cuda"), "sr trains on the CPU only; leave --device out"),
    ],
)
def test_unsupported_options_are_refused(run: Run, prepared: Path, words: tuple[str, ...], message: str) -> None:
    result = run(*words, "--workspace", prepared)
    assert (result.code, result.err.splitlines()[-1]) == (1, f"embedrec: {message}")


def test_torchrun_is_refused_for_models_without_torch(
    run: Run, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    result = run("train", "sr", "--workspace", prepared)
    assert result.err.endswith("embedrec: sr does not support torchrun; leave it out\n")
    result = run("train", "word2vec", "--resume", "--workspace", prepared)
    assert result.err.endswith("embedrec: word2vec does not support --resume; leave it out\n")


def test_the_chosen_device_is_noted(run: Run, prepared: Path) -> None:
    assert "device chosen=" in succeed(run, "train", "two-tower", *BRIEF[:-2], "--workspace", prepared).err
    assert "device chosen=" not in succeed(run, "train", "sr", "--workspace", prepared).err


def test_dropped_items_are_noted(run: Run, counted: Path) -> None:
    result = succeed(run, "train", "cooccurrence", "--set", "min_count=2", "--name", "few")
    assert result.err.splitlines() == [
        "using sessions log (sessions/log)",
        "vocabulary items=4 left_out=1",
        "wrote model few (models/few)",
    ]
    assert result.rows[0][:2] == ["few", "4"]


def test_a_memory_limit_trains_the_same_model(run: Run, counted: Path) -> None:
    prints = {}
    for model in ("cooccurrence", "svd"):
        for memory in ([], ["--memory", "256M"]):
            succeed(run, "train", model, "--set", "min_count=1", *memory)
            prints.setdefault(model, set()).add(json.loads(succeed(run, "info", model, "--json").out)["fingerprint"])
    assert all(len(p) == 1 for p in prints.values())
    assert sorted(p.name for p in Path("models").iterdir()) == ["cooccurrence", "svd"]
    for words, message in (
        (("ar", "--memory", "1G"), "ar has no memory limit; leave --memory out"),
        (("neural-cf", "--memory", "1G"), "neural-cf has no memory limit; leave --memory out"),
        (
            ("two-tower", "--memory", "1G", "--set", "users=true"),
            "users of two-tower needs all sessions in every process; leave it or --memory out",
        ),
        (("svd", "--memory", "1M"), "the memory budget must be at least 256M, but is 1048576 bytes"),
        (
            ("svd", "--memory", "much"),
            "a memory size is a number with K, M, G or T, such as 512M or 2G, but is 'much'",
        ),
        (("random", "--from", "svd"), "random does not support warm starts; leave --from out"),
    ):
        result = run("train", *words)
        assert (result.code, result.err.splitlines()[-1]) == (1, f"embedrec: {message}")


COMPOSITE = ("train", "fusion", "--candidates", "sr=5,cooccurrence=5", "--set", "window=.3")


@pytest.mark.usefixtures("clicks")
def test_a_fusion_that_is_not_better_than_its_best_part_is_not_written(run: Run) -> None:
    result = run(*COMPOSITE)
    assert result.code == 3 and not Path("models/fusion").exists()
    assert [row[0] for row in result.rows] == ["sr", "cooccurrence", "fusion"]
    assert result.err.splitlines()[-1].startswith("embedrec: ndcg@20 of fusion is 0.")
    assert result.err.endswith("; nothing is written without --force\n")
    forced = succeed(run, *COMPOSITE, "--force")
    assert forced.err.splitlines()[-2].endswith("; written all the same")
    assert artifacts.read(Path("models/fusion")).about["forced"] is True
    shown = succeed(run, "recommend", "a", "b", "-n", "3", "--why")
    assert all(
        re.fullmatch(r"(\w+ \d+)(, \w+ \d+)*; (\w+ \+[\d.]+)(, \w+ \+[\d.]+)*", row[4]) for row in shown.rows[:1]
    )
    record = json.loads(succeed(run, "recommend", "a", "b", "-n", "1", "--why", "--json").out)
    assert set(record["parts"]) <= {"sr", "cooccurrence"} and set(record["features"]) <= set(record["parts"])


@pytest.mark.usefixtures("clicks")
def test_options_of_composites(run: Run) -> None:
    message = "{} is for fusion and ranker, not for sr; leave it out"
    assert message.format("--candidates") in fails(run, "train", "sr", "--candidates", "sr=1,mf=1", code=2)
    assert message.format("--force") in fails(run, "train", "sr", "--force", code=2)
