"""The steps [prepare] and [split], which write sessions."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from embedrec.config import build, check_seed, settings_of
from embedrec.data.filters import Filters
from embedrec.data.regroup import Regroup
from embedrec.experiments.step import SessionsStep, StepContext, existing_files, fingerprints, memory_bytes
from embedrec.progress import Report
from embedrec.readers import READERS, BadRows, reader
from embedrec.splitting.rules import Rule, rule_class
from embedrec.storage.memory_budget import budget_of
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.prepare import prepare_sessions
from embedrec.workflows.split import write_split


@dataclass(frozen=True, kw_only=True)
class Prepare(SessionsStep):
    """[prepare], `embedrec prepare`: also all settings of the source's reader and of the filters, `by` and `gap`.

    source      a name in READERS
    paths       files and folders
    name        of the sessions; by default the source's
    title       column of display names, for the source "table"
    test        file of the held-out part, for sources that have one
    on_bad_row  "fail", or "skip"
    memory      a budget such as "2G"
    """

    kind: ClassVar[str] = "prepare"
    source: str
    paths: tuple[str, ...]
    title: str | None = None
    test: str | None = None
    on_bad_row: Literal["fail", "skip"] = "fail"
    memory: str | None = None

    def __post_init__(self) -> None:
        memory_bytes(self.memory)

    def keys(self) -> dict[type[Any], set[str]]:
        """The keys of the table that belong to other settings, by their class."""
        read: Any = reader(self.source)
        own = {f.name for f in fields(read)} - {"name"}  # `name` is a key of [prepare]; the column's is `title`
        return {Filters: {f.name for f in fields(Filters)}, Regroup: {"by", "gap"}, read: own}

    def _build(self, cls: Any) -> Any:
        keys = self.keys()[cls]
        return build(cls, {k: v for k, v in self.options.items() if k in keys}, source="[prepare]")

    @cached_property
    def reader(self) -> Any:
        read = self._build(reader(self.source))
        return read if self.title is None else replace(read, name=self.title)

    @cached_property
    def filters(self) -> Filters:
        """The filters: keys of the table over the source's defaults."""
        defaults = {k: v for k, v in READERS[self.source].filters.items() if k not in self.options}
        return replace(self._build(Filters), **defaults)

    @cached_property
    def regroup(self) -> Regroup:
        regroup: Regroup = self._build(Regroup)
        return regroup

    def settings(self) -> dict[str, Any]:
        parts = {"reader": self.reader, "filters": self.filters, "regroup": self.regroup}
        return super().settings() | {key: settings_of(part) for key, part in parts.items()}

    def files(self) -> dict[str, str]:
        test = [self.test] if self.test is not None else []
        return fingerprints([*self.paths, *test, *existing_files(settings_of(self.reader))])

    def run(self, context: StepContext, report: Report) -> None:
        folder, bad_rows = self.path(context), BadRows(self.on_bad_row)
        prepare_sessions(
            self.source,
            self.reader,
            self.paths,
            folder,
            self.filters,
            ReadSettings(bad_rows, context.threads, budget_of(self.memory, folder.parent), report),
            regroup=self.regroup,
            test=self.test,
        )
        for line in bad_rows.lines():
            report("note", message=line)


@dataclass(frozen=True, kw_only=True)
class Split(SessionsStep):
    """[split], `embedrec split`: also the settings of the rule.

    rule  a name in SPLITS
    name  of the result; by default SESSIONS-RULE
    """

    kind: ClassVar[str] = "split"
    rule: str
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    @cached_property
    def split_rule(self) -> Rule:
        rule: Rule = build(rule_class(self.rule), self.options, source="[split]")
        return rule

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"settings": settings_of(self.split_rule)}

    def run(self, context: StepContext, report: Report) -> None:
        source = context.workspace.find("sessions", self.links.sessions)
        _, messages = write_split(source, self.path(context), self.split_rule, seed=self.seed)
        for message in messages:
            report("note", message=f"leak check: {message}")
