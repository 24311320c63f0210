"""Training of parts, once for each recipe, seed and sessions: trained parts are kept as artifacts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from embedrec.config import settings_of
from embedrec.data.features import Categories, Features, Lists
from embedrec.data.sessions import Sessions
from embedrec.errors import ArtifactError
from embedrec.models.base import Model, Recipe
from embedrec.models.serialization import load_model, save_model
from embedrec.models.torch_recipe import fit_recipe, is_torch_recipe
from embedrec.progress import Report
from embedrec.ranking.parts import PartSettings
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact, json_digest
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext


@dataclass(frozen=True, eq=False)
class TrainedPart:
    """A trained part; `source` is its artifact, None if it has none."""

    settings: PartSettings
    model: Model
    source: Artifact | None


@dataclass(frozen=True)
class PartStore:
    """Trains parts, and keeps them.

    folder    where trained parts are kept and looked up; None keeps none
    existing  models that were trained on the same sessions, and serve as parts if settings and seed are the same
    device    "cpu" or "cuda", for parts that train with torch
    """

    folder: Path | None = None
    existing: Sequence[Artifact] = ()
    device: str = "cpu"

    def train(
        self,
        parts: Sequence[PartSettings],
        sessions: Sessions,
        *,
        seed: int,
        threads: int,
        report: Report,
        window: bool,
    ) -> list[TrainedPart]:
        """Train parts on sessions, or take those that are kept.

        window  whether these are the sessions before the window; reported only
        """
        content = "" if self.folder is None else sessions_digest(sessions)
        done = []
        for part in parts:
            started = perf_counter()
            same = None if window else self._existing(part.recipe, seed)
            if same is not None:
                trained = TrainedPart(part, load_model(same), same)
            else:
                trained = self._train(part, sessions, content, seed=seed, threads=threads, report=_of_part(report))
            report("part", name=part.name, window=window, seconds=round(perf_counter() - started, 2))
            done.append(trained)
        return done

    def _train(
        self, part: PartSettings, sessions: Sessions, content: str, *, seed: int, threads: int, report: Report
    ) -> TrainedPart:
        if self.folder is None:
            return TrainedPart(part, self._fit(part.recipe, sessions, seed, threads, report), None)
        folder = self.folder / part_name(part.recipe, seed, content)
        kept = read_kept(folder)
        if kept is None:
            model = self._fit(part.recipe, sessions, seed, threads, report)
            keep(model, folder, seed, content)
            kept = artifacts.read(folder, "model")
        return TrainedPart(part, load_model(kept), kept)

    def _existing(self, recipe: Recipe, seed: int) -> Artifact | None:
        """The existing model of a recipe and seed, trained from scratch."""
        settings = json_digest(settings_of(recipe))
        for artifact in self.existing:
            about = artifact.about
            fresh = about.get("continued_from") is None and about.get("seed") == seed
            if fresh and about.get("recipe") == recipe.name and json_digest(about.get("settings")) == settings:
                return artifact
        return None

    def _fit(self, recipe: Recipe, sessions: Sessions, seed: int, threads: int, report: Report) -> Model:
        context = TrainingContext(self.device) if is_torch_recipe(recipe) else DEFAULT_CONTEXT
        return fit_recipe(recipe, sessions, seed=seed, threads=threads, report=report, context=context)


IN_MEMORY = PartStore()


def part_name(recipe: Recipe, seed: int, content: str, *, start: str = "") -> str:
    """The name of the artifact of a part: its recipe, and a digest of its settings, seed, sessions and start.

    start  fingerprint of the model that it continues; "" for none
    """
    what = {"recipe": recipe.name, "settings": settings_of(recipe), "seed": seed, "sessions": content}
    what |= {"start": start} if start else {}
    return f"{recipe.name}-{json_digest(what)[:20]}"


def sessions_digest(sessions: Sessions) -> str:
    """The SHA-256 of everything that a recipe may learn from."""
    sha = hashlib.sha256()
    columns: dict[str, Any] = {
        name: getattr(sessions, name)
        for name in ("offsets", "items", "times", "weights", "kinds", "users", "kind_names")
    }
    columns |= {"items_of": sessions.vocab.ids, "names_of": sessions.vocab.names}
    for side, features in (("item", sessions.item_features), ("user", sessions.user_features)):
        columns |= {} if features is None else _feature_columns(side, features)
    for name, column in columns.items():
        if column is not None:
            sha.update(f"{name} {column.dtype} {column.shape}\n".encode())
            sha.update(_bytes(column))
    return sha.hexdigest()


def _bytes(column: np.ndarray) -> bytes:
    if column.dtype != object:
        return column.tobytes()
    return "\n".join(map(str, column.tolist())).encode(errors="surrogatepass")


def _feature_columns(side: str, features: Features) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {f"{side} id": features.vocab.ids}
    every: dict[str, Any] = {**features.numeric, **features.categorical, **features.lists}
    for name, column in every.items():
        fields = ("offsets", "codes", "names") if isinstance(column, Lists) else ("codes", "names")
        if isinstance(column, Categories | Lists):
            columns |= {f"{side} {name} {one}": getattr(column, one) for one in fields}
        else:
            columns[f"{side} {name}"] = column
    return columns


def keep(model: Model, folder: Path, seed: int, content: str) -> None:
    """Write a part that was trained on sessions of that digest; `folder` is named by `part_name`."""
    save_model(model, folder, {"seed": seed, "sessions": content})


def read_kept(folder: Path) -> Artifact | None:
    """The model artifact in `folder`, None if it is missing or damaged: it is then trained again."""
    if not folder.exists():
        return None
    try:
        artifact = artifacts.read(folder, "model")
        artifact.check()
    except ArtifactError:
        return None
    return artifact


def _of_part(report: Report) -> Report:
    """Reports of a part: epochs are its own, and the composite has none."""

    def reported(event: str, **numbers: Any) -> None:
        if event in ("progress", "note"):
            report(event, **numbers)

    return reported
