"""The files of a search in a workspace, and the best settings as TOML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedrec.config import to_toml
from embedrec.errors import SettingsError
from embedrec.storage.artifacts import plain_name
from embedrec.storage.atomic import atomic_file
from embedrec.storage.workspace import Workspace
from embedrec.tune.journal import Journal


@dataclass(frozen=True)
class SearchFiles:
    """The journal of a search, and the TOML file of its best settings."""

    journal: Path
    settings: Path

    @classmethod
    def of(cls, workspace: Workspace, name: str) -> SearchFiles:
        """The files of a search by its name. Raises SettingsError for an invalid name."""
        if not plain_name(name):
            raise SettingsError(f"{name!r} cannot name a search; use letters, digits, '.', '_' and '-'")
        folder = workspace.inside(workspace.root / "tuning")
        return cls(folder / f"{name}.jsonl", folder / f"{name}.toml")


def write_best(path: Path, journal: Journal, recipe: Any, metric: str) -> None:
    """Write the settings of the best recipe as TOML, with a comment on the search, for `train --config`."""
    value = 0 if journal.best is None else journal.best.value
    count = len(journal.trials)
    with atomic_file(path, follow=False) as out:
        out.write(f"# {metric} {value:.4f} on the validation part, the best of {count} trials: ")
        out.write(f"embedrec tune {recipe.name}\n\n{to_toml(recipe, 'train', recipe.name)}")
