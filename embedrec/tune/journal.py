"""The journal of a search: a file of JSON lines, replaced after every trial, from which a search resumes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from embedrec.errors import ArtifactError, SettingsError, decoding
from embedrec.storage.atomic import atomic_file


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    number   from 0
    set      the settings
    state    "done", "pruned" (ended early), or "failed"
    value    of the metric; None unless it is done
    epochs   epoch → watched metric, for pruning
    metrics  every metric; {} unless it is done
    reason   why it failed
    """

    number: int
    set: dict[str, Any]
    state: Literal["done", "pruned", "failed"]
    value: float | None = None
    epochs: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""


@dataclass
class Journal:
    """The trials of one search, stored in `path`; `about` holds what all of them share."""

    path: Path
    about: dict[str, Any]
    trials: list[TrialRecord]

    @classmethod
    def open(cls, path: Path, about: dict[str, Any]) -> Journal:
        """The journal in a file, or a new one. Raises SettingsError for another search's journal, ArtifactError for a
        damaged one."""
        about = dict(json.loads(json.dumps(about)))
        if not path.exists():
            return cls(path, about, [])
        with decoding(lambda _: ArtifactError(f"{path} is damaged; remove it to restart the search")):
            stored, *lines = (json.loads(line) for line in path.read_bytes().splitlines())
            trials = msgspec.convert(lines, list[TrialRecord])
            stored = msgspec.convert(stored, dict[str, Any])
            if [t.number for t in trials] != list(range(len(trials))):
                raise ValueError("the trial numbers are not consecutive")
        different = [key for key in {**stored, **about} if stored.get(key) != about.get(key)]
        if different:
            raise SettingsError(
                f"{path} belongs to a search with different {', '.join(different)}; use another --name, or --anew"
            )
        return cls(path, about, trials)

    def add(self, trial: TrialRecord) -> None:
        """Append a trial; the file is replaced as a whole."""
        self.trials.append(trial)
        with atomic_file(self.path, follow=False) as out:
            for line in (self.about, *map(asdict, self.trials)):
                out.write(json.dumps(line, ensure_ascii=False) + "\n")

    @property
    def best(self) -> TrialRecord | None:
        """The trial of the highest value; the first among equals."""
        done = [t for t in self.trials if t.state == "done" and t.value is not None]
        return max(done, key=lambda t: (t.value, -t.number), default=None)
