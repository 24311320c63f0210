"""Run records: a JSON file a step in the experiment's folder, by which a later run knows what to skip."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedrec.errors import decoded_or_none
from embedrec.experiments.step import Step, StepContext, digest, identity
from embedrec.storage.artifacts import plain_from
from embedrec.storage.atomic import atomic_file
from embedrec.version import __version__


@dataclass(frozen=True)
class Key:
    """All that the output of a step depends on.

    inputs  id of a step, or path of a file → its digest
    """

    version: str
    settings: dict[str, Any]
    inputs: dict[str, str | None]

    @classmethod
    def of(cls, step: Step, outputs: Mapping[str, str | None]) -> Key:
        """`outputs` has the identity of each earlier step's output, by id."""
        inputs = {id_: outputs[id_] for id_ in step.after}
        # through JSON, so that it equals what is read back
        return cls(__version__, json.loads(json.dumps(step.settings())), {**step.files(), **inputs})

    def json(self) -> dict[str, Any]:
        return {"version": self.version, "settings": self.settings, "inputs": self.inputs}


def read_outputs(steps: tuple[Step, ...], context: StepContext) -> dict[str, str | None]:
    """The identity of every step's output, by id."""
    return {step.id: identity(step.path(context)) for step in steps}


def reason_to_run(step: Step, key: Key, context: StepContext) -> str | None:
    """Why a step must run, in words; None if its output is up to date."""
    record = _read(record_file(step, context))
    if record is None:
        return "never done"
    if not record.get("done"):
        return "was interrupted" if record.get("key") == key.json() else "was interrupted, and its inputs changed"
    return _difference(record["key"], key) or _loss(step.path(context), record.get("output"))


def _difference(old: Mapping[str, Any], key: Key) -> str | None:
    if old["version"] != key.version:
        return f"made by version {old['version']}"
    for what, before, now in (("settings", old["settings"], key.settings), ("input", old["inputs"], key.inputs)):
        changed = _changed_keys(before, now)
        if changed:
            return f"{what} changed: {', '.join(changed)}"
    return None


def _loss(path: Path, output: str | None) -> str | None:
    current = identity(path)
    if current is None:
        return f"{path} is missing or damaged"
    return None if current == output else f"{path} was replaced"


def forget(steps: Iterable[Step], context: StepContext) -> None:
    """Delete the records of finished steps, so that a run interrupted among them leaves the rest to the next run. The
    record of an interrupted step stays, so that the step resumes."""
    for step in steps:
        file = record_file(step, context)
        record = _read(file)
        if record is not None and record.get("done"):
            file.unlink(missing_ok=True)


def begin(step: Step, key: Key, context: StepContext) -> bool:
    """Record that a step begins; returns whether it was interrupted before with the same key."""
    file = record_file(step, context)
    record = _read(file)
    _write(file, {"key": key.json(), "done": False})
    return record is not None and not record.get("done") and record.get("key") == key.json()


def end(step: Step, key: Key, context: StepContext, seconds: float) -> None:
    """Record that a step is finished."""
    output = identity(step.path(context))
    entry = {"key": key.json(), "done": True, "output": output, "seconds": round(seconds, 3)}
    _write(record_file(step, context), entry)


def record_file(step: Step, context: StepContext) -> Path:
    """The record of a step. The digest distinguishes ids that differ only in characters not allowed in file names."""
    return context.folder / "steps" / f"{plain_from(step.id)}-{digest(step.id)[:8]}.json"


def _changed_keys(old: Any, new: Any, name: str = "") -> list[str]:
    """The keys whose values differ, those of tables as "set.dim"."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        prefix = f"{name}." if name else ""
        keys = dict.fromkeys([*old, *new])
        return [c for key in keys for c in _changed_keys(old.get(key), new.get(key), prefix + key)]
    return [name] if old != new else []


def _read(file: Path) -> dict[str, Any] | None:
    """The record in a file; None if there is none that can be read."""

    def decode() -> dict[str, Any] | None:
        record = json.loads(file.read_bytes())
        return record if {"version", "settings", "inputs"} <= record["key"].keys() else None

    return decoded_or_none(decode)


def _write(file: Path, record: dict[str, Any]) -> None:
    with atomic_file(file, follow=False) as out:
        json.dump(record, out, indent=1)
        out.write("\n")
