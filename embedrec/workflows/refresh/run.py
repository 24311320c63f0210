"""A whole refresh: append, train, update indexes, measure, gate, switch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from embedrec.data.session_changes import SessionChanges, session_changes
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.evaluation.drift import Drift
from embedrec.progress import Report, Stage, quiet_stage
from embedrec.ranking.parts import COMPOSITES
from embedrec.splitting.rules import Split
from embedrec.storage.artifacts import Artifact
from embedrec.storage.switch import Staged, switch
from embedrec.storage.workspace import Workspace
from embedrec.text.figures import rounded_figures
from embedrec.version import __version__
from embedrec.workflows.drift import drift_record
from embedrec.workflows.refresh.append import append_files, forget_older_joins
from embedrec.workflows.refresh.composites import CompositeRenewal
from embedrec.workflows.refresh.measure import Measuring
from embedrec.workflows.refresh.plan import RefreshPlan, input_checksums, plan_refresh
from embedrec.workflows.refresh.records import write_refresh
from embedrec.workflows.refresh.settings import RefreshSettings
from embedrec.workflows.refresh.staging import Staging, refreshing
from embedrec.workflows.refresh.steps import Computing, KnownChanges, renew_index, renew_model
from embedrec.workflows.refresh.validation import newest_window

T = TypeVar("T")
_RECORD = "record"  # in the staging workspace, until the switch is done


@dataclass(frozen=True)
class RefreshStep:
    """A finished step: what it did, to which artifact, in how many seconds, with what numbers."""

    step: str
    name: str
    seconds: float
    numbers: dict[str, Any]


@dataclass(frozen=True)
class RefreshResult:
    """The result of a refresh.

    sessions  the sessions that were refreshed
    steps     in the order in which they were done
    refused   why the candidate was not put in place; empty if it was, or if nothing was new
    staging   where the refused candidate is
    switched  whether new versions were put in place
    """

    sessions: str
    steps: list[RefreshStep]
    refused: list[str] = field(default_factory=list)
    staging: Path | None = None
    switched: bool = False


def refresh(
    workspace: Workspace,
    paths: Sequence[str | Path],
    settings: RefreshSettings,
    *,
    into: str | None = None,
    computing: Computing = Computing(),  # noqa: B008 (immutable)
    wait: bool = True,
    stage: Stage = quiet_stage,
) -> RefreshResult:
    """Add the events of new files to sessions, renew every model that was trained on them and every index of these, and
    put all in place in one step, unless the gate refuses it.

    into   name of the sessions; None takes the newest that `embedrec prepare` made
    wait   for another refresh of the workspace to end
    stage  of each step

    Killed at any moment, it leaves all artifacts as they were or all new; called again with the same files, it goes on
    where it stopped.

    Raises the errors of the steps; nothing has changed then.
    """
    checksums = input_checksums(paths)
    with stage("refresh") as report:
        locked: AbstractContextManager[Path] = refreshing(workspace, wait=wait, report=report)
    with locked as folder:
        plan = plan_refresh(workspace, into)
        key = {"files": checksums, "artifacts": plan.identity(), **settings.content, "version": __version__}
        run = _Refresh(workspace, plan, Staging(folder / plan.sessions.name, key), settings, computing, stage)
        return run.run(paths)


@dataclass
class _Refresh:
    """A refresh while it runs."""

    workspace: Workspace
    plan: RefreshPlan
    staging: Staging
    settings: RefreshSettings
    computing: Computing
    stage: Stage
    steps: list[RefreshStep] = field(default_factory=list)

    def run(self, paths: Sequence[str | Path]) -> RefreshResult:
        plan, name = self.plan, self.plan.sessions.name
        self._finish_switched()
        with self.stage("refresh") as report:
            if self.staging.open(report):
                report("note", message=f"an earlier refresh of the same files is resumed ({self.staging.folder})")
            for message in plan.messages:
                report("note", message=message)
        sessions, new = self._append(paths)
        changes = session_changes(Sessions.load(plan.sessions), new)
        self._note_numbers(changes, sessions)
        if not len(changes.added) and not len(changes.removed):
            self.staging.remove()
            return RefreshResult(name, self.steps)
        known = KnownChanges(plan.sessions, changes)
        renewed: dict[str, Artifact] = {}
        for model in plan.models:
            renewed[model.name] = self._renew(model, sessions, known, renewed)
        indexes = {index.name: self._index(index, renewed, sessions) for index in plan.indexes}
        window = newest_window(changes) if self.settings.validate else None
        drift, refused = self._measure(known, window, renewed, indexes)
        record = {"sessions": name, "files": list(map(str, paths)), "refused": refused, "drift": drift}
        if refused:
            self.staging.refuse(refused)
            write_refresh(self.workspace, record)
            return RefreshResult(name, self.steps, refused, self.staging.folder)
        staged = [Staged(sessions, plan.sessions)]
        staged += [Staged(renewed[one.name], one) for one in plan.models]
        staged += [Staged(indexes[one.name], one) for one in plan.indexes]
        command = f"refresh {' '.join(map(str, paths))}"
        self.staging.save(_RECORD, record)
        self._timed("switch", name, lambda report: switch(self.workspace, staged, command=command), _version)
        write_refresh(self.workspace, record)
        self.staging.remove()
        forget_older_joins(self.workspace, name)
        return RefreshResult(name, self.steps, switched=True)

    def _finish_switched(self) -> None:
        """Write the record of an earlier refresh that was killed after its switch, and remove its staging workspace."""
        sessions = self.staging.finished("sessions", self.plan.sessions.name)
        record = self.staging.load(_RECORD)
        if record is not None and sessions is not None and sessions.digest == self.plan.sessions.digest:
            write_refresh(self.workspace, record)
            self.staging.remove()

    def _append(self, paths: Sequence[str | Path]) -> tuple[Artifact, Sessions]:
        source = self.plan.sessions
        folder = self.staging.workspace.folder("sessions", source.name)

        def append(report: Report) -> tuple[Artifact, Sessions]:
            done = self.staging.finished("sessions", source.name)
            if done is None:
                keep_days, threads = self.settings.keep_days, self.computing.threads
                done = append_files(source, paths, folder, keep_days=keep_days, threads=threads, report=report)
            return done, Sessions.load(done)

        return self._timed("append", source.name, append, lambda _: {})

    def _note_numbers(self, changes: SessionChanges, sessions: Artifact) -> None:
        """Add the numbers of what is new to the step that appended it."""
        old, new = changes.old, changes.new
        numbers = {
            "sessions": len(new),
            "events": len(new.items),
            "new_or_longer": len(changes.added),
            "items": len(new.vocab),
            "new_items": int((changes.old_item_rows < 0).sum()),
            "gone_items": int((changes.item_rows < 0).sum()),
        }
        self.steps[-1] = RefreshStep("append", sessions.name, self.steps[-1].seconds, numbers)
        if len(new.items) < len(old.items) and self.settings.keep_days is None:
            with self.stage("refresh") as report:
                report("note", message=f"{len(old.items) - len(new.items):,} events fewer than before; check the files")

    def _renew(
        self, model: Artifact, sessions: Artifact, known: KnownChanges, renewed: Mapping[str, Artifact]
    ) -> Artifact:
        staged = self.staging.workspace
        folder = staged.folder("model", model.name)

        def train(report: Report) -> Artifact:
            done = self.staging.finished("model", model.name)
            if done is not None and done.about["trained_on"]["fingerprint"] == sessions.fingerprint:
                return done
            if model.about["recipe"] in COMPOSITES:
                renewal = CompositeRenewal(self.workspace, sessions, known, renewed, self.computing)
                return renewal.renew(model, folder, report)
            space = self.settings.space
            return renew_model(
                self.workspace, model, sessions, folder, self.computing, space=space, known=known, report=report
            )

        def numbers(done: Artifact) -> dict[str, Any]:
            cosine = done.about.get("aligned")
            return {"items": done.about["items"], **({} if cosine is None else {"mean_cosine": cosine})}

        return self._timed("train", model.name, train, numbers)

    def _index(self, index: Artifact, models: dict[str, Artifact], sessions: Artifact) -> Artifact:
        model = models[index.about["indexed"]["name"]]
        numbers: dict[str, Any] = {}

        def renew(report: Report) -> Artifact:
            done = self.staging.finished("index", index.name)
            if done is not None and done.about["indexed"]["fingerprint"] == model.fingerprint:
                return done
            new, changed = renew_index(index, model, sessions, self.staging.workspace, report)
            numbers.update(changed)
            return new

        return self._timed("index", index.name, renew, lambda done: {"items": done.about["items"], **numbers})

    def _measure(
        self, known: KnownChanges, window: Split | None, models: dict[str, Artifact], indexes: dict[str, Artifact]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """The drift of every model and every index of items, and why the gate refuses it."""
        measuring = Measuring(self.workspace, known, window, self.settings, self.computing)
        gate, records, refused = self.settings.thresholds, [], []
        pairs = [(old, models[old.name]) for old in self.plan.models]
        pairs += [(one, indexes[one.name]) for one in self.plan.indexes if one.about.get("of", "items") == "items"]
        for old, now in pairs:
            measure = measuring.of_model if old.kind == "model" else measuring.of_index
            try:
                drift = self._timed("measure", old.name, lambda report: measure(old, now, report), _main_figures)  # noqa: B023
            except (DataError, SettingsError) as e:
                with self.stage("measure") as report:
                    report("note", message=f"{old.kind} {old.name} is not measured: {e}")
                continue
            records.append({"kind": old.kind, "name": old.name, **drift_record(drift, old.digest, now.digest)})
            refused += [f"{old.kind} {old.name}: {reason}" for reason in gate.failures(drift)]
        return records, refused

    def _timed(self, step: str, name: str, work: Callable[[Report], T], numbers: Callable[[T], dict[str, Any]]) -> T:
        """Do a step, and add it to those that are done."""
        started = perf_counter()
        with self.stage(f"{step} {name}") as report:
            result = work(report)
        self.steps.append(RefreshStep(step, name, _seconds(started), numbers(result)))
        return result


def _seconds(started: float) -> float:
    return round(perf_counter() - started, 2)


def _version(record: Any) -> dict[str, Any]:
    return {"version": max(change.put.version for change in record.changes if change.put is not None)}


_MAIN = ("median cosine", "overlap", "recall")  # starts of the figures that the table of a refresh shows


def _main_figures(drift: Drift) -> dict[str, Any]:
    """The figures of a drift that the table of a refresh shows."""
    return {name: value for name, value in rounded_figures(drift.figures()).items() if name.startswith(_MAIN)}
