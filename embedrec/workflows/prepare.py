"""The steps of the road, from artifact to artifact: read, do, write with provenance.

The command line and `demo` call these; whoever wants nouns in memory calls the library below them.
"""

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
from embedrec.progress import Report, quiet
from embedrec.readers import BadRows
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.leakage import check_leaks
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.workflows.lineage import counts


def prepare(
    source: str,
    reader: Any,
    paths: Sequence[str | Path],
    folder: Path,
    filters: Filters,
    *,
    regroup: Regroup = AS_READ,
    test: str | Path | None = None,
    bad_rows: BadRows,
    workers: int = 1,
    memory: int | None = None,
    report: Report = quiet,
) -> Artifact:
    """Read files, regroup, filter, sessionise, and write the sessions artifact `folder`.

    source   name of the reader in READERS
    regroup  what a session is
    test     file of the held-out part, for readers that have `read_test`; it is neither regrouped nor filtered
    memory   a budget in bytes, under which columns of events lie in files beside `folder`; the result is the same

    Raises DataError when training knows none of the items that are held out, and for a leak; SettingsError for a
    held-out part beside sessions that are made anew.
    """
    artifacts.check_place(folder)
    if test is not None and regroup != AS_READ:
        raise SettingsError(
            "--by and --gap would make other sessions of the training part only, not of the held-out one; leave them "
            "out, or prepare the whole and split it with `embedrec split`"
        )
    started = perf_counter()
    room = IN_MEMORY if memory is None else MemoryBudget(memory, folder.parent)
    with room.returning():
        held_out = None if test is None else reader.read_test(test, bad_rows=bad_rows, room=room)
        events = reader.read(paths, bad_rows=bad_rows, workers=workers, report=report, room=room)
        read = {"events": len(events), "sessions": len(events.sessions), "items": len(events.items)}
        events = regroup.apply(events)
        regrouped = {**settings_of(regroup), "sessions": len(events.sessions)}
        events, removed = filters.apply(events)
        sessions = sessionize(events)
        if held_out is not None:
            sessions, held_out = held_out.beside(sessions)
        about: dict[str, Any] = {
            "source": source,
            "reader": settings_of(reader),
            "paths": [str(p) for p in paths],
            "read": read,
            "regrouped": regrouped,
            "bad_rows": bad_rows.counts,
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
            about |= _given(held_out, sessions, test)
        with artifacts.writing(folder, "sessions", about) as draft:
            sessions.write(draft)
            if held_out is not None:
                held_out.write(draft)
    return artifacts.read(folder, "sessions")


def _given(test: HeldOut, train: Sessions, path: str | Path | None) -> dict[str, Any]:
    """What is known of a held-out part that was given, for the manifest."""
    if not (train.vocab.rows_of(test.sessions.vocab.ids) >= 0).any():
        raise DataError(
            f"no item of {path}, such as {test.sessions.vocab.id(0)!r}, is in training, whose items are such as "
            f"{train.vocab.id(0)!r}; check that both files have the same ids, and loosen the filters"
        )
    return {
        "split": {"rule": "given", "test": str(path), "checked": check_leaks(train, test)},
        "test_sessions": len(test),
        "test_events": len(test.sessions.items),
        "questions": int(np.maximum(test.sessions.lengths - np.maximum(test.given, 1), 0).sum()),
    }
