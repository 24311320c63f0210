"""Random past sessions as lists, and session-kNN recipes of every kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.models.session_knn.base import SessionKnn
from tests.conftest import of_lists, read_only
from tests.models.session_knn.slow_knn import DAY, Past, slow

counts = {"neighbours": st.integers(1, 6), "sample": st.integers(0, 6)}

LETTERS = Vocab(list("abcdef"))
texts = st.text("abcdef", max_size=5)
long_texts = st.text("abcdef", max_size=14)
histories = st.lists(st.text("abcdef", max_size=13), min_size=1, max_size=4)


@st.composite
def pasts(draw: Any) -> list[Past]:
    """Sessions with repeats and ties; times (quarter days) for all or none."""
    lists = draw(st.lists(st.one_of(texts, long_texts), max_size=12))
    timed = draw(st.booleans())
    past = []
    for items in lists:
        times = sorted(draw(st.lists(st.integers(0, 12), min_size=len(items), max_size=len(items)))) if timed else None
        given = draw(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=len(items), max_size=len(items)))
        kinds = draw(st.lists(st.sampled_from(["buy", "view"]), min_size=len(items), max_size=len(items)))
        past.append(Past(list(items), None if times is None else [t * DAY // 4 for t in times], given, kinds))
    return past


def sessions_of(past: list[Past]) -> Sessions:
    made = of_lists([p.items for p in past], LETTERS)
    kinds = [("buy", "view").index(k) for p in past for k in p.kinds or []]
    given: dict[str, Any] = {
        "times": np.array([t for p in past for t in p.times or []], dtype=np.int64),
        "weights": np.array([w for p in past for w in p.weights or []], dtype=np.float32),
        "kinds": np.array(kinds, dtype=np.int32),
    }
    columns = {
        name: read_only(column)
        for name, column in given.items()
        if all(getattr(p, name) is not None for p in past) and (past or name != "times")
    }
    if "kinds" in columns:
        columns["kind_names"] = np.array(["buy", "view"], dtype=object)
    return Sessions(read_only(made.offsets), read_only(made.items), LETTERS, read_only(made.ids), **columns)


def histories_of(lists: list[str], times: list[int] | None = None) -> Sessions:
    made = of_lists(lists, LETTERS)
    if times is not None:
        at = np.repeat(np.array(times, dtype=np.int64), made.lengths)
        made = replace(made, times=at)
    return made


def check(recipe: SessionKnn, past: list[Past], lists: list[str], times: list[int] | None = None) -> None:
    """Assert that the model equals the slow reference: neighbours, items in their order, weights."""
    model, queries = recipe.fit(sessions_of(past)), histories_of(lists, times)
    k = max(1, len(past))
    numbers, similarities = model.neighbours(queries, k) if past else (np.zeros((len(lists), 0)),) * 2
    answers = {
        exclude_seen: (
            model.recommend(queries, 6, exclude_seen=exclude_seen),
            model.weights(queries, 6, exclude_seen=exclude_seen),
        )
        for exclude_seen in (False, True)
    }
    for q, text in enumerate(lists):
        now = None if times is None else times[q]
        # the twin cuts the list of neighbours; the model gives as many as are asked for
        near, scores = slow(recipe, past, list(text), now, len(LETTERS)) if text else ([], {})
        wide = slow(replace(recipe, neighbours=k), past, list(text), now, len(LETTERS))[0] if text else []
        assert numbers[q][numbers[q] >= 0].tolist() == [s for s, _ in wide]
        assert similarities[q][: len(wide)].tolist() == pytest.approx([sim for _, sim in wide], rel=1e-9)
        for exclude_seen, (answer, (rows, weights)) in answers.items():
            want = {i: s for i, s in scores.items() if not exclude_seen or i not in text}
            if getattr(recipe, "compat", "") == "serenade":
                want.pop(text[-1:], None)
            order = sorted(want, key=lambda i: (-np.float32(want[i]), i))
            assert answer.ids()[q] == order
            assert (answer.rows[q][len(order) :] == -1).all()
            valid = rows[q] >= 0
            result = dict(zip(LETTERS.ids[rows[q][valid]].tolist(), weights[q][valid].tolist(), strict=True))
            assert result == pytest.approx(want, rel=1e-9, abs=1e-12)
            assert (np.diff(weights[q][valid]) <= 0).all() and np.isneginf(weights[q][~valid]).all()
        assert len(near) == min(len(wide), recipe.neighbours)


def each(recipe: type, **settings: Any) -> Any:
    """A recipe with drawn settings."""
    return st.builds(recipe, **{**counts, **settings})
