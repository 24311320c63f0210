"""Why a composite model recommends items: which parts proposed them, and which features moved them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.ranking.composite import CompositeModel

_FEATURES = 3  # of an item


@dataclass(frozen=True)
class Explanation:
    """Why an item is recommended.

    parts     names of the parts that proposed it, with its rank in their lists, from 1; best first. Empty for an item
              that follows the candidates
    features  names of the three features that moved its score most, and by how much; of a fusion, what each part adds
    """

    parts: dict[str, int]
    features: dict[str, float]


def explain(model: CompositeModel, history: Sessions, items: np.ndarray) -> list[Explanation]:
    """The explanation of each item (k,), rows of the model's vocabulary, recommended for one history.

    Raises SettingsError if the scorer needs a package for contributions that is not installed.
    """
    history = history.reindex(model.vocab)
    candidates = model.candidates(history)
    names, values = model.scorer.contributions(history, candidates)
    row_of = {item: row for row, item in enumerate(candidates.items.tolist())}
    done = []
    for item in items.tolist():
        row = row_of.get(item)
        if row is None:
            done.append(Explanation({}, {}))
            continue
        ranks = [(int(rank) + 1, p) for p, rank in enumerate(candidates.ranks[row]) if rank >= 0]
        most = np.argsort(-np.abs(values[row]), kind="stable")[:_FEATURES]
        moved = {names[f]: round(float(values[row, f]), 4) for f in most.tolist() if values[row, f] != 0}
        done.append(Explanation({model.parts[p].name: rank for rank, p in sorted(ranks)}, moved))
    return done


def session_knn_part(model: CompositeModel) -> SessionKnnModel | None:
    """The first part that is a session-kNN model, whose neighbours also explain; None if there is none."""
    models = (part.model for part in model.parts)
    return cast(SessionKnnModel | None, next((m for m in models if isinstance(m, SessionKnnModel)), None))
