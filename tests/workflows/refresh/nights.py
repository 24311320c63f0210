"""A tiny shop: clicks of several nights, and a workspace of the first night with models and an index."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.config import build
from embedrec.data.filters import Filters
from embedrec.models import recipe_class
from embedrec.readers import BadRows, reader
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.prepare import prepare_sessions
from embedrec.workflows.train import train_model

ITEMS, NIGHT = 24, 60  # sessions of a night
SMALL: dict[str, dict[str, Any]] = {
    "word2vec": {"epochs": 2, "dim": 4, "min_count": 1},
    "cooccurrence": {},
    "vstan": {},
    "popular": {},
}


def clicks(nights: Iterable[int]) -> str:
    """The clicks of some nights as CSV: a session stays within one of three groups of items; a night has a new item."""
    lines = ["session,item,time"]
    for night in nights:
        rng = np.random.default_rng(night)
        for s in range(NIGHT):
            group = int(rng.integers(3)) * 8
            picks = rng.permutation(8)[: rng.integers(3, 7)] + group
            names = [f"i{pick}" for pick in picks] + ([f"new{night}"] if s < 6 else [])
            start = 1_700_000_000 + night * 86_400 + s * 600
            lines += [f"n{night}s{s},{name},{start + 10 * k}" for k, name in enumerate(names)]
    return "\n".join(lines) + "\n"


def first_night(root: Path, models: Iterable[str] = ("word2vec", "cooccurrence")) -> Workspace:
    """A workspace of the nights 0 to 3: sessions "clicks", models, and the index "word2vec-ivf" if that is one."""
    workspace = Workspace(root)
    file = root / "old.csv"
    root.mkdir(parents=True, exist_ok=True)
    file.write_text(clicks(range(4)))
    read = build(reader("table"), {"session": "session", "item": "item", "time": "time"}, source="test")
    folder = workspace.folder("sessions", "clicks")
    sessions = prepare_sessions("table", read, [str(file)], folder, Filters(), ReadSettings(BadRows("fail")))
    for name in models:
        recipe = build(recipe_class(name), SMALL[name], source="test")
        model = train_model(recipe, sessions, workspace.folder("model", name))
        if name == "word2vec":
            build_index_artifact(model, workspace.folder("index", "word2vec-ivf"), IndexSettings("IVF4,Flat"))
    return workspace


def night_file(root: Path, night: int = 4) -> Path:
    """The file of a later night."""
    file = root / f"night{night}.csv"
    file.write_text(clicks([night]))
    return file


def copy_of(workspace: Workspace, root: Path) -> Workspace:
    """A copy of a workspace; its sessions name the files of the original."""
    shutil.copytree(workspace.root, root)
    return Workspace(root)


def digests(workspace: Workspace) -> dict[str, str]:
    """The digest of every current artifact, whose files are all checked."""
    found = {}
    for kind in ("sessions", "model", "index"):
        assert workspace.unreadable(kind) == {}
        for artifact in workspace.artifacts(kind):
            artifact.check()
            found[f"{kind} {artifact.name}"] = artifact.digest
    return found
