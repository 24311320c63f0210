"""Session kNNs against slow twins, and what goes for all of them: update, age, batches, threads, memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.models.session_knn_recipes import SKNN, SSCF, STAN, VMIS, VSKNN, VSTAN
from embedrec.models.session_recipe import SessionKnn
from embedrec.models.wsknn import WSKNN
from tests.conftest import read_only
from tests.data import strategies as draw
from tests.models.session_twins import DAY, Past, slow

LETTERS = Vocab(list("abcdef"))
NAMES = ["sknn", "vsknn", "stan", "vstan", "vmis", "sscf", "wsknn"]
CURVES = ["same", "div", "linear", "quadratic", "log"]

texts = st.text("abcdef", max_size=5)
long_texts = st.text("abcdef", max_size=14)
histories = st.lists(st.text("abcdef", max_size=13), min_size=1, max_size=4)
counts = {"neighbours": st.integers(1, 6), "sample": st.integers(0, 6)}
lambdas = st.sampled_from([None, 0.5, 1.02, 20.0])


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
    made = Sessions.of_lists([p.items for p in past], LETTERS)
    names = np.array(["buy", "view"], dtype=object)
    columns: dict[str, Any] = {
        "weights": read_only(np.array([w for p in past for w in p.weights or []], dtype=np.float32)),
        "kinds": read_only(np.array([("buy", "view").index(k) for p in past for k in p.kinds or []], dtype=np.int32)),
        "times": None,
    }
    if past and all(p.times is not None for p in past):
        columns["times"] = read_only(np.array([t for p in past for t in p.times or []], dtype=np.int64))
    return Sessions(
        read_only(made.offsets), read_only(made.items), LETTERS, read_only(made.ids), kind_names=names, **columns
    )


def asked_of(lists: list[str], times: list[int] | None = None) -> Sessions:
    made = Sessions.of_lists(lists, LETTERS)
    if times is not None:
        at = np.repeat(np.array(times, dtype=np.int64), made.lengths)
        made = replace(made, times=at)
    return made


def check(recipe: SessionKnn, past: list[Past], lists: list[str], times: list[int] | None = None) -> None:
    """The model gives what the twin gives: neighbours, items in their order, weights."""
    model, asked = recipe.fit(sessions_of(past)), asked_of(lists, times)
    k = max(1, len(past))
    numbers, similarities = model.neighbours(asked, k) if past else (np.zeros((len(lists), 0)),) * 2
    answers = {
        seen: (model.recommend(asked, 6, seen=seen), model.weights(asked, 6, seen=seen)) for seen in (False, True)
    }
    for q, text in enumerate(lists):
        now = None if times is None else times[q]
        # the twin cuts the list of neighbours; the model gives as many as are asked for
        near, scores = slow(recipe, past, list(text), now, len(LETTERS)) if text else ([], {})
        wide = slow(replace(recipe, neighbours=k), past, list(text), now, len(LETTERS))[0] if text else []
        assert numbers[q][numbers[q] >= 0].tolist() == [s for s, _ in wide]
        assert similarities[q][: len(wide)].tolist() == pytest.approx([sim for _, sim in wide], rel=1e-9)
        for seen, (answer, (rows, weights)) in answers.items():
            want = {i: s for i, s in scores.items() if seen or i not in text}
            if getattr(recipe, "compat", "") == "serenade":
                want.pop(text[-1:], None)
            order = sorted(want, key=lambda i: (-np.float32(want[i]), i))
            assert answer.ids()[q] == order
            assert (answer.rows[q][len(order) :] == -1).all()
            there = rows[q] >= 0
            found = dict(zip(LETTERS.ids[rows[q][there]].tolist(), weights[q][there].tolist(), strict=True))
            assert found == pytest.approx(want, rel=1e-9, abs=1e-12)
            assert (np.diff(weights[q][there]) <= 0).all() and np.isneginf(weights[q][~there]).all()
        assert len(near) == min(len(wide), recipe.neighbours)


def each(recipe: type, **settings: Any) -> Any:
    """A recipe with drawn settings."""
    return st.builds(recipe, **{**counts, **settings})


@draw.given(
    pasts(),
    histories,
    each(
        SKNN,
        similarity=st.sampled_from(["cosine", "jaccard", "binary"]),
        scoring=st.sampled_from(["plain", "last-shared", "followers"]),
        decay=st.sampled_from(CURVES),
        compat=st.sampled_from(["none", "session-rec"]),
    ),
    examples=300,
)
def test_sknn(past: list[Past], lists: list[str], recipe: SKNN) -> None:
    check(recipe, past, lists)


@draw.given(
    pasts(),
    histories,
    each(
        VSKNN,
        position=st.sampled_from(CURVES),
        similarity=st.sampled_from(["vec", "cosine"]),
        decay=st.sampled_from(CURVES),
        idf=st.sampled_from([0.0, 1.0, 5.0]),
        compat=st.sampled_from(["none", "session-rec"]),
    ),
    examples=300,
)
def test_vsknn(past: list[Past], lists: list[str], recipe: VSKNN) -> None:
    check(recipe, past, lists)


stan = {"spw": lambdas, "inh": lambdas, "snh": st.sampled_from([None, 0.3, 5.0])}
vstan = {"ipw": lambdas, "idf": st.sampled_from([0.0, 5.0])}
compat = st.sampled_from(["none", "session-rec"])


@draw.given(
    pasts(),
    histories,
    st.one_of(each(STAN, **stan, compat=compat), each(VSTAN, **stan, **vstan, compat=compat)),
    st.one_of(st.none(), st.lists(st.integers(0, 16), min_size=4, max_size=4)),
    examples=300,
)
def test_stan_and_vstan(past: list[Past], lists: list[str], recipe: STAN, times: list[int] | None) -> None:
    if not past or past[0].times is None:
        recipe = replace(recipe, snh=None)
    check(recipe, past, lists, None if times is None else [t * DAY // 4 for t in times[: len(lists)]])


@draw.given(
    pasts(),
    histories,
    each(
        VMIS,
        last_items=st.integers(1, 12),
        idf=st.sampled_from([0.0, 1.0, 3.0]),
        longest=st.sampled_from([0.3, 0.8, 1.0]),
        compat=st.sampled_from(["none", "serenade"]),
    ),
    examples=300,
)
def test_vmis(past: list[Past], lists: list[str], recipe: VMIS) -> None:
    check(recipe, past, lists)


@draw.given(pasts(), histories, each(SSCF, center=st.sampled_from(["all", "rated", "none"])), examples=200)
def test_sscf(past: list[Past], lists: list[str], recipe: SSCF) -> None:
    check(recipe, past, lists)


@draw.given(
    pasts(),
    histories,
    each(
        WSKNN,
        sampling=st.sampled_from(["common_items", "recent", "weighted_events"]),
        weighting=st.sampled_from(["linear", "log", "quadratic"]),
        ranking=st.sampled_from(["linear", "inv", "log", "quadratic"]),
        required_event=st.sampled_from([None, "buy"]),
        compat=st.sampled_from(["none", "wsknn"]),
    ),
    examples=300,
)
def test_wsknn(past: list[Past], lists: list[str], recipe: WSKNN) -> None:
    check(recipe, past, lists)
