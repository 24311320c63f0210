"""Shares of a sessions artifact: what one of several processes reads of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embedrec.data.feature_parquet import load_features
from embedrec.data.joined import joined
from embedrec.data.parquet_io import load_vocab
from embedrec.data.sessions import Sessions, sessionize
from embedrec.errors import DataError
from embedrec.storage import artifacts

FEATURES = "item_features.parquet"


def session_share(source: artifacts.Artifact | str | Path, number: int, count: int) -> Sessions:
    """Consecutive whole sessions with about one of `count` equal parts of all events: those of process `number`.

    Arrays are memory-mapped, so that only these sessions take memory. They have numbers for ids, the vocabulary of all
    sessions, and the features of items; users, weights and kinds are left out.

    Raises ArtifactError when it is not a sessions artifact, or its files are inconsistent; DataError if there are fewer
    sessions than parts.
    """
    with (
        joined(artifacts.as_artifact(source, "sessions"), sessionize) as artifact,
        artifacts.opening(artifact, "prepare the data again"),
    ):
        offsets, items = artifact.array("offsets", "int64"), artifact.array("items", "int32")
        first, last = np.searchsorted(offsets[:-1], [len(items) * part // count for part in (number, number + 1)])
        start, stop = offsets[[first, last]].tolist()
        share = Sessions(
            offsets[first : last + 1] - start,
            items[start:stop],
            load_vocab(artifact.path("vocab.parquet")),
            np.arange(first, last),
            times=artifact.array("times", "int64")[start:stop] if "times.npy" in artifact else None,
            item_features=load_features(artifact.path(FEATURES)) if FEATURES in artifact else None,
        )
    if not len(share):
        raise DataError(f"{len(offsets) - 1} sessions are too few for {count} processes; start fewer")
    return share
