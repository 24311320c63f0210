"""Runs of an experiment: a run executes the steps that changed, skips the rest, and resumes after an interruption."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Literal

from embedrec.errors import ArtifactError, EmbedrecError, SettingsError, did_you_mean, system_error
from embedrec.experiments.paths import FOLDER, check_files
from embedrec.experiments.run_records import Key, begin, end, forget, read_outputs, reason_to_run
from embedrec.experiments.step import Experiment, Step, StepContext, identity
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts
from embedrec.storage.atomic import Lock, lock, no_link
from embedrec.storage.workspace import Workspace


@dataclass(frozen=True)
class PlannedStep:
    """What a run does with a step, and why. "may run": it depends on a step that runs, whose output may not change."""

    step: str
    does: Literal["run", "skip", "may run"]
    why: str


def step_context(experiment: Experiment, workspace: Workspace, *, threads: int = 1, device: str = "cpu") -> StepContext:
    """The context of an experiment in a workspace. Raises ArtifactError for a name that cannot name a folder."""
    if not artifacts.plain_name(experiment.name):
        raise ArtifactError(f"{experiment.name!r} cannot name an experiment; use letters, digits, '.', '_' and '-'")
    return StepContext(workspace, workspace.inside(workspace.root / FOLDER / experiment.name), threads, device)


def plan(experiment: Experiment, context: StepContext, *, start: str | None = None) -> list[PlannedStep]:
    """What `run_experiment` would do now.

    Raises SettingsError for an unknown step `start`, and what `check_files` raises.
    """
    check_files(experiment, context)
    outputs = read_outputs(experiment.steps, context)
    forced = _from(experiment, start)
    planned: dict[str, PlannedStep] = {}
    for step in experiment.steps:
        redone = [id_ for id_ in step.after if planned[id_].does != "skip"]
        reason = f"--from {start}" if step.id in forced else reason_to_run(step, Key.of(step, outputs), context)
        if redone and (reason is None or reason.startswith("input changed")):
            planned[step.id] = PlannedStep(step.id, "may run", f"after {', '.join(redone)}")
        else:
            planned[step.id] = _planned(step, reason)
    return list(planned.values())


def run_experiment(
    experiment: Experiment, context: StepContext, *, start: str | None = None, report: Report = quiet
) -> list[PlannedStep]:
    """Run the steps that changed; returns what was done with each step.

    start   run this step and all after it, even if nothing changed
    report  called as report("skip", step=, why=) or report("begin", step=, why=) … report("done", step=, seconds=),
            with the step's own events in between

    Raises SettingsError for an unknown step `start`, what `check_files` raises, what steps raise, with the step's id
    in front of the message, and ArtifactError for an OSError in a step.
    """
    check_files(experiment, context)
    forced = _from(experiment, start)
    done: list[PlannedStep] = []
    with _exclusive(context.folder):
        forget((step for step in experiment.steps if step.id in forced), context)
        outputs: dict[str, str | None] = {}
        for step in experiment.steps:
            key = Key.of(step, outputs)
            reason = f"--from {start}" if step.id in forced else reason_to_run(step, key, context)
            if reason is None:
                report("skip", step=step.id, why="nothing changed")
            else:
                report("begin", step=step.id, why=reason)
                started = perf_counter()
                resumed = begin(step, key, context)
                with _named_errors(step):
                    step.run(replace(context, resumed=resumed), report)
                seconds = perf_counter() - started
                end(step, key, context, seconds)
                report("done", step=step.id, seconds=round(seconds, 3))
            outputs[step.id] = identity(step.path(context))
            done.append(_planned(step, reason))
    return done


def _planned(step: Step, reason: str | None) -> PlannedStep:
    return PlannedStep(step.id, "skip" if reason is None else "run", reason or "nothing changed")


def _from(experiment: Experiment, start: str | None) -> set[str]:
    """The ids of the steps from `start` on: the id of a step, or a kind, which means the first step of that kind."""
    if start is None:
        return set()
    ids = [step.id for step in experiment.steps]
    kinds = [id_.partition(" ")[0] for id_ in ids]
    if start not in ids and start not in kinds:
        hint = did_you_mean(start, [*ids, *kinds]) or f"; valid steps are {', '.join(ids)}"
        raise SettingsError(f"no step is called {start!r}{hint}")
    return set(ids[(ids if start in ids else kinds).index(start) :])


@contextmanager
def _named_errors(step: Step) -> Iterator[None]:
    try:
        yield
    except EmbedrecError as e:
        raise type(e)(f"step {step.id}: {e}") from e
    except BrokenPipeError:  # of the report's reader, not of the step
        raise
    except OSError as e:
        raise ArtifactError(f"step {step.id}: {system_error(e)}") from e


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that no other process runs the same experiment at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", opener=no_link) as file:
        state = lock(file.fileno())
        if state is Lock.UNKNOWN:
            raise ArtifactError(f"the file system of {folder} has no locks; `run` needs them, use another workspace")
        if state is Lock.HELD:
            raise ArtifactError(f"another run of this experiment is active in {folder}; wait until it ends")
        yield
