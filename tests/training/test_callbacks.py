"""Callbacks follow a training; ready ones write what their tools read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.models import recipe_class
from embedrec.models.torch_recipe import fit_recipe
from embedrec.progress import quiet
from embedrec.training.callbacks import Callback, calling_back, parse_tracker
from tests.conftest import tiny_sessions

IN_EPOCHS = {  # every model that trains in epochs
    "word2vec": {"epochs": 3, "dim": 4, "min_count": 1, "sample": 0},
    "mf": {"epochs": 3, "dim": 4},
    "two-tower": {"epochs": 3, "dim": 4},
    "gru4rec": {"epochs": 3},
    "neural-cf": {"epochs": 3, "dim": 4},
}


class Recorder(Callback):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_start(self, model: str, settings: Mapping[str, Any]) -> None:
        self.calls.append(("start", model, settings))

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self.calls.append(("epoch", epoch, metrics))

    def on_end(self, error: BaseException | None) -> None:
        self.calls.append(("end", error))


def train(recipe: Any, *callbacks: Callback) -> None:
    with calling_back(callbacks, recipe, quiet) as report:
        fit_recipe(recipe, tiny_sessions(), seed=0, threads=1, report=report)


@pytest.mark.parametrize("name", list(IN_EPOCHS))
def test_every_model_in_epochs_calls(name: str) -> None:
    recorder, cls = Recorder(), recipe_class(name)
    train(cls(**{**cls.SMALL, **IN_EPOCHS[name]}), recorder)
    start, *epochs, end = recorder.calls
    assert start[:2] == ("start", name) and start[2]["epochs"] == 3 and end == ("end", None)
    assert [call[1] for call in epochs] == [1, 2, 3]
    for _, _, metrics in epochs:
        assert metrics["loss"] == metrics["loss"] and metrics["seconds"] >= 0
        assert all(type(value) is float for value in metrics.values())


def test_models_without_epochs_call_start_and_end() -> None:
    recorder = Recorder()
    train(recipe_class("popular")(), recorder)
    assert [call[0] for call in recorder.calls] == ["start", "end"]


def test_an_error_of_a_callback_ends_the_training() -> None:
    class Stop(Callback):
        def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
            if epoch == 2:
                raise RuntimeError("enough")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match="enough") as raised:
        train(recipe_class("word2vec")(**IN_EPOCHS["word2vec"]), recorder, Stop())
    assert [call[0] for call in recorder.calls] == ["start", "epoch", "epoch", "end"]
    assert recorder.calls[-1] == ("end", raised.value)


def test_all_callbacks_end_although_one_fails() -> None:
    class Broken(Callback):
        def on_end(self, error: BaseException | None) -> None:
            raise RuntimeError("disk full")

    first = Recorder()
    with pytest.raises(RuntimeError, match="disk full"):
        train(recipe_class("popular")(), first, Broken(), Recorder())
    assert first.calls[-1][0] == "end"


def test_a_callback_that_does_not_start_is_not_ended() -> None:
    class Unstartable(Recorder):
        def on_start(self, model: str, settings: Mapping[str, Any]) -> None:
            raise RuntimeError("no server")

    first, second = Recorder(), Unstartable()
    with pytest.raises(RuntimeError, match="no server"):
        train(recipe_class("popular")(), first, second)
    assert [call[0] for call in first.calls] == ["start", "end"] and second.calls == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tensorbord:x",
            "tensorboard:FOLDER, mlflow:FOLDER, wandb:FOLDER, but is 'tensorbord:x'; did you mean 'tensor",
        ),
        ("wandb", "but is 'wandb'$"),
        ("wandb:", "but is 'wandb:'$"),
    ],
)
def test_invalid_trackers_are_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_tracker(text)


def test_tensorboard_reads_the_scalars(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = recipe_class("word2vec")(**IN_EPOCHS["word2vec"])
    recorder = Recorder()
    for _ in range(2):
        train(recipe, parse_tracker(f"tensorboard:{tmp_path}"), recorder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["word2vec", "word2vec-2"]
    events = EventAccumulator(str(tmp_path / "word2vec")).Reload()
    assert {"loss", "seconds"} <= set(events.Tags()["tensors"])
    scalars = events.Tensors("loss")
    assert [event.step for event in scalars] == [1, 2, 3]
    losses = [call[2]["loss"] for call in recorder.calls if call[0] == "epoch"][:3]
    assert [event.tensor_proto.float_val[0] for event in scalars] == pytest.approx(losses)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::FutureWarning")
def test_mlflow_reads_the_run(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    recorder, folder = Recorder(), tmp_path / "runs"
    recipe = recipe_class("word2vec")(**IN_EPOCHS["word2vec"])
    train(recipe, parse_tracker(f"mlflow:{folder}"), recorder)
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("embedrec")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == "word2vec"
    assert run.data.params["dim"] == "4" and run.data.params["model"] == "word2vec"
    losses = [call[2]["loss"] for call in recorder.calls if call[0] == "epoch"]
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [metric.step for metric in history] == [1, 2, 3]
    assert [metric.value for metric in history] == pytest.approx(losses)


@pytest.mark.slow
def test_wandb_writes_the_run(tmp_path: Path) -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    recipe = recipe_class("word2vec")(**IN_EPOCHS["word2vec"])
    recorder = Recorder()
    train(recipe, parse_tracker(f"wandb:{tmp_path}"), recorder)
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records: list[Any] = []
    started = monotonic()
    while not any(record.HasField("exit") for record in records) and monotonic() - started < 30:  # flushed by a process
        records = [Record.FromString(data) for data in records_of(file.read_bytes())]
    items = [item for record in records for item in record.history.item]
    losses = [float(item.value_json) for item in items if [item.key, *item.nested_key][-1] == "loss"]
    config = {item.key: item.value_json for record in records for item in record.run.config.update}
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [0]
    assert losses == pytest.approx([call[2]["loss"] for call in recorder.calls if call[0] == "epoch"])
    assert config["dim"] == "4" and config["model"] == '"word2vec"'


def records_of(log: bytes) -> Iterator[bytes]:
    """The records of a transaction log of wandb: blocks of 32 KiB of chunks (checksum, length, type), as of LevelDB."""
    at, record = 7, b""  # after the header
    while at < len(log):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(log[at + 4 : at + 6], "little"), log[at + 6]
        record += log[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""
