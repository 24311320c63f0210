"""Why items are recommended: past sessions that contain them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models.base import Model
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.storage.artifacts import Artifact

_REASONS = 3  # sessions per result


def explain_recommendations(
    source: Artifact, model: Model, sessions: Sessions, history: Sessions, items: np.ndarray
) -> list[list[tuple[Any, float]]]:
    """For each recommended item, the nearest past sessions that contain it: ids and similarities, three at most.

    model     the model of `source`; must be a session-kNN model
    sessions  its training sessions
    history   the one history that it recommended for
    items     (k,) rows of the recommendations in the model's vocabulary

    Raises SettingsError for other models.
    """
    if not isinstance(model, SessionKnnModel):
        raise SettingsError(f"--why needs a session-kNN model; {source.name} is a model of {source.about['recipe']}")
    numbers, similarities = model.neighbours(history, min(model.recipe.neighbours, len(sessions)))
    valid = numbers[0] >= 0
    neighbours, scores = sessions.take(numbers[0][valid]), similarities[0][valid].tolist()
    ids, neighbours = neighbours.ids.tolist(), neighbours.reindex(model.vocab)
    contents = [set(neighbours[n].tolist()) for n in range(len(ids))]
    return [
        [(ids[n], scores[n]) for n, content in enumerate(contents) if row in content][:_REASONS]
        for row in items.tolist()
    ]


def sessions_with_both(sessions: Sessions, item: Any, others: Sequence[Any]) -> list[list[tuple[Any, float]]]:
    """For each other item, the sessions that contain it and `item`: ids and cosines between the pair and the session.

    item, others  ids. Three sessions at most, the most similar (the smallest) first, ties to the later session
    """
    rows = sessions.vocab.rows_of([item, *others])
    matches = np.unique(sessions.session_of[sessions.items == rows[0]]) if rows[0] >= 0 else np.zeros(0, np.int64)
    subset = sessions.take(matches)
    sizes = np.array([len(np.unique(subset[n])) for n in range(len(subset))], dtype=np.int64)
    results = []
    for row in rows[1:].tolist():
        shared = np.unique(subset.session_of[subset.items == row]) if row >= 0 else np.zeros(0, np.int64)
        best = shared[np.lexsort((-shared, sizes[shared]))][:_REASONS]
        results.append(list(zip(subset.ids[best].tolist(), np.sqrt(2 / sizes[best]).tolist(), strict=True)))
    return results
