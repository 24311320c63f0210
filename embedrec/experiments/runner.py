"""A run of a study: what changed is done, the rest is skipped; killed and started again, it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Literal

from embedrec.errors import ArtifactError, EmbedrecError, SettingsError, did_you_mean, system_said
from embedrec.experiments.paths import FOLDER, check_files
from embedrec.experiments.run_records import Key, begin, end, forget, outputs, why
from embedrec.experiments.step import Step, StepContext, Study, identity
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts
from embedrec.storage.atomic import no_link
from embedrec.storage.file_lock import Lock, lock
from embedrec.storage.workspace import Workspace


@dataclass(frozen=True)
class Planned:
    """What a run will do with a step, and why. "may run": a step before it is done, perhaps with the same outcome."""

    step: str
    does: Literal["run", "skip", "may run"]
    why: str


def where(study: Study, workspace: Workspace, *, threads: int = 1, device: str = "cpu") -> StepContext:
    """Where a study works in a workspace. Raises ArtifactError for a name that is no plain one."""
    if not artifacts.plain_name(study.name):
        raise ArtifactError(f"{study.name!r} cannot name a study; use letters, digits, '.', '_' and '-'")
    return StepContext(workspace, workspace.inside(workspace.root / FOLDER / study.name), threads, device)


def plan(study: Study, place: StepContext, *, start: str | None = None) -> list[Planned]:
    """What `carry_out` would do now.

    Raises SettingsError when there is no step `start`, and what `check_files` does.
    """
    check_files(study, place)
    before = outputs(study.steps, place)
    forced = _from(study, start)
    planned: dict[str, Planned] = {}
    for step in study.steps:
        redone = [name for name in step.after if planned[name].does != "skip"]
        reason = f"--from {start}" if step.name in forced else why(step, Key.of(step, before), place)
        if redone and (reason is None or reason.startswith("input changed")):
            planned[step.name] = Planned(step.name, "may run", f"after {', '.join(redone)}")
        else:
            planned[step.name] = Planned(step.name, "skip" if reason is None else "run", reason or "nothing changed")
    return list(planned.values())


def carry_out(study: Study, place: StepContext, *, start: str | None = None, report: Report = quiet) -> list[Planned]:
    """Do what must be done of a study; what was done, step by step.

    start   this step and all after it are done, whatever has changed
    report  called as report("skip", step=, why=) or report("begin", step=, why=) … report("done", step=, seconds=),
            between them what the step itself reports

    Raises SettingsError when there is no step `start`, what `check_files` does, and what steps raise, with the step
    before the message; ArtifactError for an OSError in a step.
    """
    check_files(study, place)
    forced = _from(study, start)
    done: list[Planned] = []
    with _alone(place.folder):
        forget((step for step in study.steps if step.name in forced), place)
        made: dict[str, str | None] = {}
        for step in study.steps:
            key = Key.of(step, made)
            reason = f"--from {start}" if step.name in forced else why(step, key, place)
            if reason is None:
                report("skip", step=step.name, why="nothing changed")
            else:
                report("begin", step=step.name, why=reason)
                started = perf_counter()
                resumed = begin(step, key, place)
                with _named(step):
                    step.work(replace(place, resumed=resumed), report)
                seconds = perf_counter() - started
                end(step, key, place, seconds)
                report("done", step=step.name, seconds=round(seconds, 3))
            made[step.name] = identity(step.place(place))
            done.append(Planned(step.name, "skip" if reason is None else "run", reason or "nothing changed"))
    return done


def _from(study: Study, start: str | None) -> set[str]:
    """The names of the steps from `start` on: of a step, or of a kind, whose first one it is then."""
    if start is None:
        return set()
    names = [step.name for step in study.steps]
    kinds = [name.partition(" ")[0] for name in names]
    if start not in names and start not in kinds:
        hint = did_you_mean(start, [*names, *kinds]) or f"; there are {', '.join(names)}"
        raise SettingsError(f"no step is called {start!r}{hint}")
    return set(names[(names if start in names else kinds).index(start) :])


@contextmanager
def _named(step: Step) -> Iterator[None]:
    try:
        yield
    except EmbedrecError as e:
        raise type(e)(f"step {step.name}: {e}") from e
    except BrokenPipeError:  # of whoever read what is told: not the step's
        raise
    except OSError as e:
        raise ArtifactError(f"step {step.name}: {system_said(e)}") from e


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """For a block that no other process runs in the same folder at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", opener=no_link) as file:
        taken = lock(file.fileno())
        if taken is Lock.UNKNOWN:
            raise ArtifactError(f"the file system of {folder} has no locks, which tell runs of a study from each other")
        if taken is Lock.HELD:
            raise ArtifactError(f"another run of this study is at work in {folder}; wait for its end")
        yield
