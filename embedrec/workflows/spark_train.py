"""Train a model on Spark and write the model artifact, which is that of one machine."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

from embedrec.models.serialization import save_model
from embedrec.progress import Report, quiet
from embedrec.spark.fit import FitContext, check_recipe, fit_on_spark
from embedrec.spark.session import SparkSettings, spark_session
from embedrec.spark.sessions_frame import open_sessions
from embedrec.spark.written_parts import staging
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.memory_budget import MemoryBudget, spill
from embedrec.workflows.lineage import provenance


def train_on_spark(
    recipe: Any,
    source: Artifact,
    folder: Path,
    spark: SparkSettings,
    *,
    seed: int = 0,
    threads: int = 1,
    memory: int | None = None,
    report: Report = quiet,
) -> Artifact:
    """Train a recipe on a sessions artifact and write the model artifact `folder`, with the arrays of `train_model`.

    memory  bytes of the driver for what grows with items and pairs; None keeps it in files

    Raises SettingsError for a recipe that is not fitted on Spark, and the errors of `spark_session`.
    """
    check_recipe(recipe)
    artifacts.check_place(folder)
    epochs: list[dict[str, Any]] = []

    def record(event: str, **numbers: Any) -> None:
        if event == "epoch":
            epochs.append(numbers)
        report(event, **numbers)

    started = perf_counter()
    with spark_session(spark) as session, staging(session, folder) as parts, open_sessions(session, source) as frame:
        budget = spill(parts) if memory is None else MemoryBudget(memory, parts)
        model = fit_on_spark(recipe, frame, FitContext(parts, budget, seed, threads, record))
        about: dict[str, Any] = {
            "trained_on": provenance(source),
            "continued_from": None,
            "seed": seed,
            "threads": threads,
            "seconds": round(perf_counter() - started, 3),
            "epochs": epochs,
            "engine": "spark",
        }
        save_model(model, folder, about)
    return artifacts.read(folder, "model")
