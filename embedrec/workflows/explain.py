"""Why items are recommended: past sessions that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.storage.artifacts import Artifact

_REASONS = 3  # sessions named an answer


def reasons(
    source: Artifact, model: Any, sessions: Sessions, history: Sessions, items: np.ndarray
) -> list[list[tuple[Any, float]]]:
    """Of each recommended item, the nearest past sessions that hold it: ids and similarities, three at most.

    model     the model of `source`; must be one of session kNN
    sessions  what it was trained on
    history   the one history that was answered
    items     (k,) rows of the answers in the model's vocabulary

    Raises SettingsError for a model of another kind.
    """
    if not isinstance(model, SessionKnnModel):
        raise SettingsError(
            f"{source.about['recipe']} does not answer from single past sessions; ask a session-kNN model why"
        )
    numbers, similarities = model.neighbours(history, min(model.recipe.neighbours, len(sessions)))
    near = [(n, s) for n, s in zip(numbers[0].tolist(), similarities[0].tolist(), strict=True) if n >= 0]
    past = sessions.take(np.array([n for n, _ in near], dtype=np.int64)).reindex(model.vocab)
    held = [set(past[place].tolist()) for place in range(len(near))]
    return [
        [(past.ids[place : place + 1].tolist()[0], near[place][1]) for place in range(len(near)) if row in held[place]][
            :_REASONS
        ]
        for row in items.tolist()
    ]


def together(sessions: Sessions, item: Any, others: Sequence[Any]) -> list[list[tuple[Any, float]]]:
    """Of each other item, the sessions that hold it beside `item`: ids and cosines between the pair and the session.

    item, others  ids. Three sessions at most, the most similar (the smallest) first, ties to the later session
    """
    rows = sessions.vocab.rows_of([item, *others])
    holding = np.unique(sessions.session_of[sessions.items == rows[0]]) if rows[0] >= 0 else np.zeros(0, np.int64)
    beside = sessions.take(holding)
    sizes = np.array([len(np.unique(beside[place])) for place in range(len(beside))], dtype=np.int64)
    found = []
    for row in rows[1:].tolist():
        places = np.unique(beside.session_of[beside.items == row]) if row >= 0 else np.zeros(0, np.int64)
        best = places[np.lexsort((-places, sizes[places]))][:_REASONS]
        cosines = np.sqrt(2 / sizes[best])
        found.append(list(zip(beside.ids[best].tolist(), cosines.tolist(), strict=True)))
    return found
