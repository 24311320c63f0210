"""Callbacks, which a training calls after each epoch; ready ones for TensorBoard, MLflow and Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from embedrec.config import settings_of
from embedrec.errors import SettingsError, did_you_mean, need_package
from embedrec.progress import Report


class Callback(Protocol):
    """What a training calls. A subclass overrides the methods that it needs; the others do nothing.

    An error that a method raises ends the training and is not changed. Models that do not train in epochs, such as
    session kNN, call `on_start` and `on_end` only.

    >>> class Losses(Callback):
    ...     def on_epoch(self, epoch, metrics):
    ...         print(epoch, sorted(metrics))
    """

    def on_start(self, model: str, settings: Mapping[str, Any]) -> None:
        """Called before training, with the name of the model and its settings."""

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Called after each epoch, from 1; when a training is resumed, first again for the epochs of its checkpoint.

        metrics  "seconds", "loss" where the training measures it, the speed ("events_per_second",
                 "examples_per_second"), and those of a validation ("recall@20", "mrr@20")
        """

    def on_end(self, error: BaseException | None) -> None:
        """Called after training; with the error, if it failed."""


@contextmanager
def calling_back(callbacks: Sequence[Callback], recipe: Any, report: Report) -> Iterator[Report]:
    """A block that trains a recipe; the report that it yields also calls the callbacks, in their order.

    Every callback that has started is ended, also after an error.
    """
    started: list[Callback] = []

    def call(event: str, **numbers: Any) -> None:
        report(event, **numbers)
        if event == "epoch":
            metrics = {
                name: float(value)
                for name, value in numbers.items()
                if name not in ("epoch", "epochs") and isinstance(value, int | float)
            }
            for callback in started:
                callback.on_epoch(int(numbers["epoch"]), metrics)

    try:
        for callback in callbacks:
            callback.on_start(recipe.name, settings_of(recipe))
            started.append(callback)
        yield call
    except BaseException as error:
        _end(started, error)
        raise
    _end(started, None)


def _end(callbacks: list[Callback], error: BaseException | None) -> None:
    """End callbacks, the last first; an error of one does not keep the others from ending."""
    while callbacks:
        callback = callbacks.pop()
        try:
            callback.on_end(error)
        finally:
            _end(callbacks, error)


class TensorBoardCallback(Callback):
    """Writes the metrics of each epoch as scalars for `tensorboard --logdir FOLDER`.

    folder  of the event files; each training writes a subfolder MODEL, MODEL-2, …

    Raises SettingsError if the extra `tensorboard` is not installed.

    >>> from tempfile import TemporaryDirectory
    >>> from embedrec import TensorBoardCallback, prepare
    >>> with TemporaryDirectory() as folder:
    ...     model = prepare("toy").train("word2vec", epochs=1, callbacks=[TensorBoardCallback(folder)])
    """

    def __init__(self, folder: str | Path) -> None:
        need_package("tensorboard", "TensorBoardCallback")
        self.folder = Path(folder)
        self._writer: Any = None

    def on_start(self, model: str, settings: Mapping[str, Any]) -> None:
        """Open the event file."""
        from tensorboard.summary import Writer

        names = (model if number == 1 else f"{model}-{number}" for number in range(1, 1 << 31))
        self._writer = Writer(str(next(self.folder / name for name in names if not (self.folder / name).exists())))

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write one scalar a metric, at step `epoch`."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def on_end(self, error: BaseException | None) -> None:
        """Close the event file."""
        self._writer.close()


class MLflowCallback(Callback):
    """Writes the settings and the metrics of each epoch as a run of MLflow.

    tracking    a folder, where the database mlflow.db is made (`mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db`
                shows it), or the URI of a tracking server
    experiment  its experiment, which is made if it does not exist

    Raises SettingsError if the extra `mlflow` is not installed.

    >>> from tempfile import TemporaryDirectory
    >>> from embedrec import MLflowCallback, prepare
    >>> with TemporaryDirectory() as folder:
    ...     model = prepare("toy").train("word2vec", epochs=1, callbacks=[MLflowCallback(folder)])
    """

    def __init__(self, tracking: str | Path, experiment: str = "embedrec") -> None:
        need_package("mlflow", "MLflowCallback")
        self.tracking, self.experiment = str(tracking), experiment
        self._client: Any = None
        self._run = ""

    def on_start(self, model: str, settings: Mapping[str, Any]) -> None:
        """Start a run of the model's name, with its settings as parameters."""
        from mlflow import MlflowClient

        uri, files = self.tracking, None
        if "://" not in uri:
            folder = Path(uri).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            uri, files = f"sqlite:///{folder}/mlflow.db", (folder / "artifacts").as_uri()
        self._client = client = MlflowClient(uri)
        known = client.get_experiment_by_name(self.experiment)
        experiment = client.create_experiment(self.experiment, files) if known is None else known.experiment_id
        self._run = client.create_run(experiment, run_name=model).info.run_id
        for name, value in {"model": model, **settings}.items():
            client.log_param(self._run, name, value)

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log each metric at step `epoch`; MLflow allows no "@" in names, so that recall@20 is recall_at_20."""
        for name, value in metrics.items():
            self._client.log_metric(self._run, name.replace("@", "_at_"), value, step=epoch)

    def on_end(self, error: BaseException | None) -> None:
        """End the run as finished or failed."""
        self._client.set_terminated(self._run, "FINISHED" if error is None else "FAILED")


class WandbCallback(Callback):
    """Writes the settings and the metrics of each epoch as a run of Weights & Biases.

    folder   of the run's files
    project  the project of the run
    mode     "offline" writes files only, which `wandb sync FOLDER/wandb/offline-run-*` uploads; "online" uploads
             at once

    Raises SettingsError if the extra `wandb` is not installed.

    >>> from tempfile import TemporaryDirectory
    >>> from embedrec import WandbCallback, prepare
    >>> with TemporaryDirectory() as folder:
    ...     model = prepare("toy").train("word2vec", epochs=1, callbacks=[WandbCallback(folder)])
    """

    def __init__(
        self, folder: str | Path, project: str = "embedrec", mode: Literal["online", "offline"] = "offline"
    ) -> None:
        need_package("wandb", "WandbCallback")
        self.folder, self.project, self.mode = Path(folder), project, mode
        self._run: Any = None

    def on_start(self, model: str, settings: Mapping[str, Any]) -> None:
        """Start a run of the model's name, with its settings as configuration."""
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self.project,
            name=model,
            dir=os.fspath(self.folder),
            mode=self.mode,
            config={"model": model, **settings},
            settings=wandb.Settings(silent=True),
            reinit="create_new",
        )

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics at step `epoch`."""
        self._run.log(dict(metrics), step=epoch)

    def on_end(self, error: BaseException | None) -> None:
        """End the run, with exit code 1 if training failed."""
        self._run.finish(exit_code=0 if error is None else 1)


TRACKERS: dict[str, Callable[[str], Callback]] = {
    "tensorboard": TensorBoardCallback,
    "mlflow": MLflowCallback,
    "wandb": WandbCallback,
}


def parse_tracker(text: str) -> Callback:
    """The callback of "tensorboard:FOLDER", "mlflow:FOLDER" (or a URI) or "wandb:FOLDER".

    Raises SettingsError for another text, and if the extra is not installed.
    """
    name, colon, place = text.partition(":")
    if name not in TRACKERS or not (colon and place):
        near = did_you_mean(name, TRACKERS) if name not in TRACKERS else ""
        raise SettingsError(f"a log must be {', '.join(f'{one}:FOLDER' for one in TRACKERS)}, but is {text!r}{near}")
    return TRACKERS[name](place)
