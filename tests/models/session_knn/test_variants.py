"""Every variant of session kNN against its slow reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.errors import SettingsError
from embedrec.models.session_knn.variants import SKNN, SSCF, STAN, VMIS, VSKNN, VSTAN
from tests.data import strategies as draw
from tests.models.session_knn.past_sessions import check, each, histories, histories_of, pasts, sessions_of
from tests.models.session_knn.slow_knn import DAY, Past

CURVES = ["same", "div", "linear", "quadratic", "log"]
lambdas = st.sampled_from([None, 0.5, 1.02, 20.0])
stan = {"spw": lambdas, "inh": lambdas, "snh": st.sampled_from([None, 0.3, 5.0])}
vstan = {"ipw": lambdas, "idf": st.sampled_from([0.0, 5.0])}
compat = st.sampled_from(["none", "session-rec"])


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
def test_sknn_equals_a_slow_loop(past: list[Past], lists: list[str], recipe: SKNN) -> None:
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
def test_vsknn_equals_a_slow_loop(past: list[Past], lists: list[str], recipe: VSKNN) -> None:
    check(recipe, past, lists)


@draw.given(
    pasts(),
    histories,
    st.one_of(each(STAN, **stan, compat=compat), each(VSTAN, **stan, **vstan, compat=compat)),
    st.one_of(st.none(), st.lists(st.integers(0, 16), min_size=4, max_size=4)),
    examples=300,
)
def test_stan_and_vstan_equal_a_slow_loop(
    past: list[Past], lists: list[str], recipe: STAN, times: list[int] | None
) -> None:
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
def test_vmis_equals_a_slow_loop(past: list[Past], lists: list[str], recipe: VMIS) -> None:
    check(recipe, past, lists)


@draw.given(pasts(), histories, each(SSCF, center=st.sampled_from(["all", "rated", "none"])), examples=200)
def test_sscf_equals_a_slow_loop(past: list[Past], lists: list[str], recipe: SSCF) -> None:
    check(recipe, past, lists)


def test_old_sessions_have_lower_similarity() -> None:
    past = [Past(["a", "b"], [0, 0]), Past(["a", "c"], [0, 2 * DAY])]
    model = STAN(snh=2.0, spw=None, inh=None).fit(sessions_of(past))
    cosine = 1 / np.sqrt(2)
    late, untimed, early = (model.neighbours(histories_of(["a"], at), 2)[1][0] for at in ([4 * DAY], None, [DAY]))
    assert late.tolist() == pytest.approx([cosine / np.e, cosine / np.e**2])
    assert untimed.tolist() == pytest.approx([cosine, cosine / np.e])  # as late as the newest session
    assert early.tolist() == pytest.approx([cosine, cosine / np.e**0.5])  # what is newer does not gain
    with pytest.raises(SettingsError, match=r"stan decays sessions by age \(snh 2 days\), but they have no"):
        STAN(snh=2.0).fit(sessions_of([Past(["a"])]))
    with pytest.raises(SettingsError, match="vstan decays sessions by age"):
        VSTAN(snh=2.0).fit(sessions_of([Past(["a"])]))


def test_scores_by_hand() -> None:
    model = VSKNN(similarity="vec", idf=1).fit(sessions_of([Past(list(x)) for x in ("ab", "bbc", "cd")]))
    queries = histories_of(["ab", "ba"])
    numbers, similarities = model.neighbours(queries, 3)
    assert numbers.tolist() == [[0, 1, -1], [0, 1, -1]]
    assert similarities[:, :2].tolist() == [[0.75, 0.5], [0.75, 0.25]]
    answer = model.recommend(queries, 6, exclude_seen=False)
    idf = 1 + np.log(3 / np.array([1, 2, 2]))  # of a, b, c: sessions that hold them, not mentions
    assert answer.ids() == [["b", "a", "c"], ["a", "b", "c"]]
    assert answer.scores[0, [1, 0, 2]] == pytest.approx(np.array([0.75, 1.25, 0.5]) * idf)
    assert answer.scores[1, :3] == pytest.approx(np.array([0.75, 0.875, 0.125]) * idf)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SKNN(neighbours=0), "neighbours must be at least 1, but is 0"),
        (lambda: VSKNN(sample=-1), "sample must be a number of sessions, or 0 for all, but is -1"),
        (lambda: VSKNN(idf=-1.0), "idf must be a number from 0, but is -1"),
        (lambda: VSTAN(idf=float("nan")), "idf must be a number from 0, but is nan"),
        (lambda: STAN(spw=0.0), "spw must be a positive number, or none, but is 0"),
        (lambda: VSTAN(ipw=-2.0), "ipw must be a positive number, or none, but is -2"),
        (lambda: VMIS(last_items=0), "last_items must be at least 1, but is 0"),
        (lambda: VMIS(longest=1.5), "longest must be a quantile above 0 and up to 1, but is 1.5"),
    ],
)
def test_invalid_settings_are_refused(make: Any, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        make()
    assert str(refused.value) == message
