"""`embedrec train`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.artifacts import find_sessions, note_outdated, note_replaced
from embedrec.cli.shared.engine_options import engine_options, refuse_on_spark, spark_settings
from embedrec.cli.shared.options import (
    TARGET_NOT_MET,
    config_option,
    device_option,
    emit,
    json_option,
    log_option,
    note,
    note_artifact,
    seed_option,
    threads_option,
    workspace_option,
)
from embedrec.cli.shared.settings_options import SettingsCommand
from embedrec.cli.shared.terminal import write_result
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.spark.session import SparkSettings


@click.command(cls=SettingsCommand, short_help="Train a model on sessions.")
@click.argument("model")
@click.option("--sessions", metavar="NAME", help="Sessions to train on [default: the latest].")
@click.option(
    "--from", "start", metavar="NAME", help="Warm start from this model and its settings; new items are added."
)
@click.option(
    "--align", is_flag=True, help="Rotate the trained vectors into the space of the model of --from (Procrustes)."
)
@click.option(
    "--frozen", is_flag=True, help="Keep the vectors of the model of --from, and solve only new items against them."
)
@click.option("--name", metavar="NAME", help="Name of the trained model [default: MODEL].")
@config_option
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting; repeatable.")
@click.option("--print-config", is_flag=True, help="Print the settings as TOML and stop.")
@click.option(
    "--log-to",
    "trackers",
    multiple=True,
    metavar="TOOL:FOLDER",
    help="Also write the metrics of each epoch for a tool: tensorboard:FOLDER, mlflow:FOLDER or wandb:FOLDER; "
    "repeatable.",
)
@click.option(
    "--candidates",
    metavar="MODEL=NUMBER,…",
    help="Models that propose items for fusion and ranker, and how many: recipes, or models of the workspace "
    "[default: a choice by the data].",
)
@click.option("--force", is_flag=True, help="Write a fusion or ranker that is not better than its best model.")
@click.option("--resume", is_flag=True, help="Resume an interrupted training, for models that train with torch.")
@click.option(
    "--report-test-epochs",
    is_flag=True,
    help="Also record the test metrics of every epoch, which choose nothing; for models that train with torch.",
)
@click.option(
    "--memory",
    metavar="SIZE",
    help="Memory limit (512M, 2G). cooccurrence, and svd, whose vectors must fit, write counts and lists beyond it to "
    "disk; for word2vec, two-tower, gru4rec and sasrec, whose processes (torchrun) then read a share of the sessions "
    "each, it is that of the events of a process [default: no limit].",
)
@engine_options
@seed_option
@log_option
@threads_option
@device_option
@json_option
@workspace_option
def train(
    model: str,
    sessions: str | None,
    start: str | None,
    align: bool,
    frozen: bool,
    name: str | None,
    config: Path | None,
    pairs: tuple[str, ...],
    print_config: bool,
    trackers: tuple[str, ...],
    candidates: str | None,
    force: bool,
    resume: bool,
    report_test_epochs: bool,
    memory: str | None,
    engine: str,
    master: str | None,
    spark_conf: tuple[str, ...],
    seed: int,
    threads: int,
    device: str,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Train MODEL on the latest sessions.

    \b
    embedrec train word2vec
    embedrec train word2vec --set dim=128 --set epochs=40
    embedrec train word2vec --set backend=gensim
    embedrec train popular --set days=14
    embedrec train word2vec --from word2vec --align
    embedrec train cooccurrence --memory 2G
    embedrec train cooccurrence --engine spark --master spark://host:7077
    embedrec train mf --engine spark --master spark://host:7077
    embedrec train two-tower --resume
    embedrec train gru4rec --log-to tensorboard:runs
    embedrec train fusion --candidates vstan=100,mf=100,sr=50
    torchrun --nproc-per-node 2 --no-python embedrec train two-tower
    torchrun --nproc-per-node 2 --no-python embedrec train word2vec --memory 4G
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.config import to_toml
    from embedrec.errors import TargetNotMet
    from embedrec.models import recipe_class
    from embedrec.ranking.parts import COMPOSITES
    from embedrec.ranking.validation import describe_comparison
    from embedrec.storage.memory_budget import parse_size
    from embedrec.training.callbacks import calling_back, parse_tracker
    from embedrec.workflows.evaluate import test_part_metrics
    from embedrec.workflows.train import (
        AS_IS,
        recipe_of,
        train_beside,
        train_model,
        training_context,
    )
    from embedrec.workflows.warm_start import WarmStart, continuing_settings, keep_space

    spark = _spark(
        engine, master, spark_conf, **{"from": start}, candidates=candidates, force=force, resume=resume,
        log_to=trackers or None, report_test_epochs=report_test_epochs,
    )  # fmt: skip
    before = None if start is None else note_artifact(workspace.find("model", start))
    cls = recipe_class(model)
    if model not in COMPOSITES and (candidates is not None or force):
        given = "--force" if candidates is None else "--candidates"
        raise click.UsageError(f"{given} is for {' and '.join(COMPOSITES)}, not for {model}; leave it out")
    if candidates is not None:
        pairs = (*pairs, f"candidates={candidates}")
    space = keep_space(start, align, frozen)
    base = AS_IS
    if before is not None:
        known = WarmStart.of(workspace, before).sessions is not None
        base = continuing_settings(cls, before, frozen=frozen, changes=known)
    recipe = recipe_of(cls, config, pairs, base)
    if print_config:
        write_result(to_toml(recipe, "train", model), newline=False)
        return
    source = find_sessions(workspace, sessions)
    folder, checkpoint = (workspace.folder(kind, name or model) for kind in ("model", "checkpoint"))
    note_replaced(workspace, folder, source)
    budget = None if memory is None else parse_size(memory)
    if spark is not None:
        _note_result(workspace, _on_spark(recipe, source, folder, spark, seed, threads, budget), as_json)
        return
    callbacks = [parse_tracker(text) for text in trackers]
    with (
        Progress(f"train {model}") as progress,
        training_context(
            recipe,
            device,
            checkpoint,
            resume,
            environment=os.environ,
            report=progress,
            test=test_part_metrics(source) if report_test_epochs else None,
        ) as context,
        calling_back(callbacks if context.first else (), recipe, progress) as report,
    ):
        if not context.first:
            train_beside(recipe, source, seed=seed, threads=threads, context=replace(context, memory=budget))
            return
        try:
            done = train_model(
                recipe,
                source,
                folder,
                start=None if before is None else WarmStart.of(workspace, before, report, space=space),
                seed=seed,
                threads=threads,
                report=report,
                context=replace(context, memory=budget, force=force),
            )
        except TargetNotMet as e:
            progress.clear()
            emit(e.points, as_json)
            note(f"embedrec: {e}")
            raise click.exceptions.Exit(TARGET_NOT_MET) from None
    if done.about.get("forced"):
        note(f"{describe_comparison(model, done.about['validation'])}; written all the same")
    if align:
        note(f"aligned: the mean cosine between both vectors of a common item is {done.about['aligned']:.4f}")
    _note_result(workspace, done, as_json)


def _spark(engine: str, master: str | None, spark_conf: tuple[str, ...], **refused: Any) -> SparkSettings | None:
    """The settings of `--engine spark`, with which some options cannot be combined."""
    refuse_on_spark(engine, **refused)
    return spark_settings(engine, master, spark_conf)


def _on_spark(
    recipe: Any, source: Artifact, folder: Path, spark: SparkSettings, seed: int, threads: int, memory: int | None
) -> Artifact:
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.workflows.spark_train import train_on_spark

    with Progress(f"train {recipe.name}") as report:
        return train_on_spark(recipe, source, folder, spark, seed=seed, threads=threads, memory=memory, report=report)


def _note_result(workspace: Workspace, done: Artifact, as_json: bool) -> None:
    note(f"wrote model {done.name} ({done.folder})")
    note_outdated(workspace, done)
    emit([{"model": done.name, "items": done.about["items"], "seconds": done.about["seconds"]}], as_json)
