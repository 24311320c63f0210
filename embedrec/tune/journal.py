"""What was tried: a file of JSON lines that appears whole after every trial, so that a killed search goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from embedrec.errors import ArtifactError, SettingsError
from embedrec.runtime.decoding import decoding
from embedrec.storage.atomic import atomic_file


@dataclass(frozen=True)
class Tried:
    """One trial.

    number   from 0
    set      the settings that were chosen
    state    "done", "pruned" (ended early), or "failed"
    value    of the metric; None unless it is done
    epochs   epoch → what its report said, for pruning
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
    """The trials of one search, kept in `path`; `about` is what all of them share."""

    path: Path
    about: dict[str, Any]
    trials: list[Tried]

    @classmethod
    def open(cls, path: Path, about: dict[str, Any]) -> Journal:
        """The journal in a file, or a new one. Raises SettingsError where it is of another search, and ArtifactError
        where it is damaged."""
        about = dict(json.loads(json.dumps(about)))
        if not path.exists():
            return cls(path, about, [])
        with decoding(lambda _: ArtifactError(f"{path} is damaged; remove it, and the search begins anew")):
            before, *lines = (json.loads(line) for line in path.read_bytes().splitlines())
            trials = msgspec.convert(lines, list[Tried])
            before = msgspec.convert(before, dict[str, Any])
            if [t.number for t in trials] != list(range(len(trials))):
                raise ValueError("the trials are not numbered one by one")
        different = [key for key in {**before, **about} if before.get(key) != about.get(key)]
        if different:
            raise SettingsError(
                f"{path} holds a search with other {', '.join(different)}; give this one another --name, or --anew"
            )
        return cls(path, about, trials)

    def add(self, tried: Tried) -> None:
        """Keep a trial: the file is replaced by one that holds it too."""
        self.trials.append(tried)
        with atomic_file(self.path, follow=False) as out:
            for line in (self.about, *map(asdict, self.trials)):
                out.write(json.dumps(line, ensure_ascii=False) + "\n")

    @property
    def best(self) -> Tried | None:
        """The trial of the highest value, the first among equals."""
        done = [t for t in self.trials if t.state == "done" and t.value is not None]
        return max(done, key=lambda t: (t.value, -t.number), default=None)
