"""`embedrec prepare`: read files, regroup, filter and sessionise events, and write the sessions artifact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from embedrec.config import settings_of
from embedrec.data.features import Features
from embedrec.data.filters import Filters
from embedrec.data.regroup import AS_READ, Regroup
from embedrec.data.sessions import Sessions, sessionize
from embedrec.errors import DataError, SettingsError
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.leakage import check_leaks
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.lineage import counts


def prepare_sessions(
    source: str,
    reader: Any,
    paths: Sequence[str | Path],
    folder: Path,
    filters: Filters,
    settings: ReadSettings,
    *,
    regroup: Regroup = AS_READ,
    test: str | Path | None = None,
) -> Artifact:
    """Read files, regroup, filter, sessionise, and write the sessions artifact `folder`.

    source    name of the reader in READERS
    settings  how files are read; its memory budget covers all steps
    regroup   what a session is
    test      file of the held-out part, for readers that have `read_test`; it is neither regrouped nor filtered

    Raises DataError when training knows none of the items that are held out, and for a leak; SettingsError for a
    held-out part together with regrouped sessions.
    """
    artifacts.check_place(folder)
    if test is not None and regroup != AS_READ:
        raise SettingsError(
            "--by and --gap regroup only the training part, not the held-out part of --test; leave them out, or "
            "prepare all sessions and split them with `embedrec split`"
        )
    started = perf_counter()
    with settings.memory.returning():
        held_out = None if test is None else reader.read_test(test, settings)
        events = reader.read(paths, settings)
        read = {"events": len(events), "sessions": len(events.sessions), "items": len(events.items)}
        events = regroup.apply(events)
        regrouped = {**settings_of(regroup), "sessions": len(events.sessions)}
        events, removed = filters.apply(events)
        sessions = sessionize(events)
        if held_out is not None:
            sessions, held_out = held_out.align(sessions)
        about: dict[str, Any] = {
            "source": source,
            "reader": settings_of(reader),
            "paths": [str(p) for p in paths],
            "read": read,
            "regrouped": regrouped,
            "bad_rows": settings.bad_rows.counts,
            "filters": settings_of(filters),
            "removed": [
                {key: value for key, value in settings_of(r).items() if key != "note" or value} for r in removed
            ],
            **counts(sessions),
            "seconds": round(perf_counter() - started, 3),
        }
        for name in ("item_features", "user_features"):
            features: Features | None = getattr(sessions, name)
            if features is not None:
                about[name] = features.about()
        if held_out is not None:
            about |= _describe_test(held_out, sessions, test)
        with artifacts.writing(folder, "sessions", about) as draft:
            sessions.write(draft)
            if held_out is not None:
                held_out.write(draft)
    return artifacts.read(folder, "sessions")


def _describe_test(test: HeldOut, train: Sessions, path: str | Path | None) -> dict[str, Any]:
    """Manifest entries of a held-out part."""
    if not (train.vocab.rows_of(test.sessions.vocab.ids) >= 0).any():
        raise DataError(
            f"no item of {path} (first: {test.sessions.vocab.id(0)!r}) is in the training part (first: "
            f"{train.vocab.id(0)!r}); check that both files use the same ids, and loosen the filters"
        )
    return {
        "split": {"rule": "given", "test": str(path), "checked": check_leaks(train, test)},
        "test_sessions": len(test),
        "test_events": len(test.sessions.items),
        "questions": int(np.maximum(test.sessions.lengths - np.maximum(test.given, 1), 0).sum()),
    }
