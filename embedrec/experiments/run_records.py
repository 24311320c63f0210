"""What was done of a study: a JSON file a step, in the study's folder, by which a later run knows what to skip."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedrec.experiments.step import Step, StepContext, digest, identity
from embedrec.runtime.decoding import decoded_or_none
from embedrec.storage.artifacts import plain_from
from embedrec.storage.atomic import atomic_file
from embedrec.version import __version__


@dataclass(frozen=True)
class Key:
    """All that the output of a step depends on.

    inputs  name of a step, or path of a file → what tells it from another
    """

    version: str
    settings: dict[str, Any]
    inputs: dict[str, str | None]

    @classmethod
    def of(cls, step: Step, before: Mapping[str, str | None]) -> Key:
        """`before` is what the steps before it have written, by name."""
        made = {name: before[name] for name in step.after}
        # through JSON, as it is read back
        return cls(__version__, json.loads(json.dumps(step.settings())), {**step.files(), **made})


def outputs(steps: tuple[Step, ...], where: StepContext) -> dict[str, str | None]:
    """What every step has written, by name."""
    return {step.name: identity(step.place(where)) for step in steps}


def why(step: Step, key: Key, where: StepContext) -> str | None:
    """Why a step must be done, in words; None where what it would do is there."""
    said = _read(_file(step, where))
    if said is None:
        return "never done"
    if not said.get("done"):
        return "was interrupted" if said.get("key") == _json(key) else "was interrupted, and other since"
    return _difference(said["key"], key) or _loss(step.place(where), said.get("output"))


def _difference(old: Mapping[str, Any], key: Key) -> str | None:
    if old["version"] != key.version:
        return f"made by version {old['version']}"
    for what, before, now in (("settings", old["settings"], key.settings), ("input", old["inputs"], key.inputs)):
        changed = _changed(before, now)
        if changed:
            return f"{what} changed: {', '.join(changed)}"
    return None


def _loss(place: Path, output: str | None) -> str | None:
    there = identity(place)
    if there is None:
        return f"{place} is missing or damaged"
    return None if there == output else f"{place} was replaced"


def forget(steps: Iterable[Step], where: StepContext) -> None:
    """Take back that these steps are done, so that a run which ends among them leaves the rest to be done; one that
    was interrupted still goes on."""
    for step in steps:
        file = _file(step, where)
        said = _read(file)
        if said is not None and said.get("done"):
            file.unlink(missing_ok=True)


def begin(step: Step, key: Key, where: StepContext) -> bool:
    """Note that a step is begun; whether it was begun before like this, and did not end."""
    said = _read(_file(step, where))
    resumed = said is not None and not said.get("done") and said.get("key") == _json(key)
    _write(_file(step, where), {"key": _json(key), "done": False})
    return resumed


def end(step: Step, key: Key, where: StepContext, seconds: float) -> None:
    """Note that a step is done."""
    output = identity(step.place(where))
    _write(_file(step, where), {"key": _json(key), "done": True, "output": output, "seconds": round(seconds, 3)})


def _file(step: Step, where: StepContext) -> Path:
    """Names of steps may differ in what a file name cannot hold."""
    return where.folder / "steps" / f"{plain_from(step.name)}-{digest(step.name)[:8]}.json"


def _json(key: Key) -> dict[str, Any]:
    return {"version": key.version, "settings": key.settings, "inputs": key.inputs}


def _changed(old: Any, new: Any, name: str = "") -> list[str]:
    """The names of what differs, those of tables as "set.dim"."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        inner = f"{name}." if name else ""
        return [c for key in dict.fromkeys([*old, *new]) for c in _changed(old.get(key), new.get(key), inner + key)]
    return [name] if old != new else []


def _read(file: Path) -> dict[str, Any] | None:
    """What is kept of a step; None where there is nothing that can be read: the step is done again."""

    def decode() -> dict[str, Any] | None:
        said = json.loads(file.read_bytes())
        return said if {"version", "settings", "inputs"} <= said["key"].keys() else None

    return decoded_or_none(decode)


def _write(file: Path, said: dict[str, Any]) -> None:
    with atomic_file(file, follow=False) as out:
        json.dump(said, out, indent=1)
        out.write("\n")
