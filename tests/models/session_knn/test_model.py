"""Session kNNs against slow twins, and what goes for all of them: update, age, batches, threads, memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.models.session_knn.variants import SKNN, SSCF, STAN, VMIS, VSKNN, VSTAN
from embedrec.models.session_knn.wsknn import WSKNN
from tests.conftest import of_lists, read_only
from tests.data import strategies as draw
from tests.models.session_twins import DAY, Past, slow

LETTERS = Vocab(list("abcdef"))
NAMES = [name for name in MODELS if issubclass(recipe_class(name), SessionKnn)]
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


def asked_of(lists: list[str], times: list[int] | None = None) -> Sessions:
    made = of_lists(lists, LETTERS)
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
        exclude_seen: (
            model.recommend(asked, 6, exclude_seen=exclude_seen),
            model.weights(asked, 6, exclude_seen=exclude_seen),
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


# --------------------------------------------------------------------------------- what goes for all of them

VARIANTS: list[SessionKnn] = [
    SKNN(),
    SKNN(neighbours=3, sample=4, similarity="jaccard", scoring="followers"),
    VSKNN(),
    VSKNN(neighbours=2, sample=3, idf=1, compat="session-rec"),
    STAN(),
    VSTAN(neighbours=4),
    VMIS(),
    VMIS(sample=3, longest=0.8, last_items=1),
    SSCF(neighbours=3),
    WSKNN(),
    WSKNN(neighbours=3, sample=3, sampling="common_items", compat="wsknn"),
    WSKNN(neighbours=3, sample=3, sampling="weighted_events", required_event="buy"),
    WSKNN(sample=2, sampling="random", recommend_any=True),
]
ASKED = ["", "a", "abc", "cab", "fede", "abcdef"]


def same(one: SessionKnnModel, other: SessionKnnModel) -> None:
    """Two models hold the same and answer the same."""
    assert one.recipe == other.recipe and one.vocab.ids.tolist() == other.vocab.ids.tolist()
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype and array.tolist() == other.arrays[name].tolist(), name
    asked = asked_of(ASKED).reindex(one.vocab)
    k = len(one.vocab)
    for exclude_seen in (False, True):
        for mine, yours in zip(
            *(model.weights(asked, k, exclude_seen=exclude_seen) for model in (one, other)), strict=True
        ):
            assert (mine == yours).all()
    sessions = len(one.arrays["numbers"])
    if sessions:
        for mine, yours in zip(*(model.neighbours(asked, sessions) for model in (one, other)), strict=True):
            assert (mine == yours).all()


@draw.given(pasts(), st.integers(0, 12), st.sampled_from(VARIANTS), examples=200)
def test_updated_is_as_fitted_on_all(past: list[Past], cut: int, recipe: SessionKnn) -> None:
    if not past[:cut] or not past[cut:]:
        return
    updated = recipe.fit(sessions_of(past[:cut]), seed=7).update(sessions_of(past[cut:]))
    same(updated, recipe.fit(sessions_of(past), seed=7))


@draw.given(pasts(), st.integers(0, 12), st.integers(0, 13), st.sampled_from(VARIANTS), examples=200)
def test_aged_is_as_fitted_on_the_rest(past: list[Past], newest: int, quarter: int, recipe: SessionKnn) -> None:
    model = recipe.fit(sessions_of(past), seed=7)
    timed = bool(past) and past[0].times is not None

    def time(s: int) -> float:
        given = past[s].times
        event = 0 if recipe.order == "first" else -1
        return (given[event] if given else -np.inf) if timed else 0  # type: ignore[index]

    order = sorted(range(len(past)), key=lambda s: (time(s), s))
    kept = sorted(order[max(0, len(past) - newest) :])
    same(
        model.aged(newest=newest), recipe.fit(sessions_of([past[s] for s in kept]), seed=7) if kept else emptied(model)
    )
    if timed:
        moment = quarter * DAY // 4
        kept = [s for s in range(len(past)) if time(s) >= moment]
        fresh = recipe.fit(sessions_of([past[s] for s in kept]), seed=7) if kept else emptied(model)
        same(model.aged(before_ms=moment), fresh)


def emptied(model: SessionKnnModel) -> SessionKnnModel:
    """The model without any session; a fit on none would not know which columns there were."""
    none = {name: array[: 1 if name in ("offsets", "seed") else 0] for name, array in model.arrays.items()}
    return model.recipe.from_arrays(model.vocab, none)


def test_an_update_brings_new_items() -> None:
    names = np.array(["A", "B"], dtype=object)
    old = replace(of_lists(["ab", "ba"]), vocab=Vocab(["a", "b"], names, np.array([2, 2])))
    new = of_lists(["xb", "c", "bxx"], Vocab(list("zxcb"), np.array(list("ZXCB"), dtype=object)))
    model = VSKNN().fit(old).update(new)
    assert model.vocab.ids.tolist() == ["a", "b", "x", "c"]
    assert model.vocab.names.tolist() == ["A", "B", "X", "C"]  # type: ignore[union-attr]
    assert model.vocab.counts.tolist() == [2, 4, 3, 1]  # type: ignore[union-attr]
    asked = of_lists(["b"])
    assert model.neighbours(asked, 5)[0].tolist() == [[4, 2, 1, 0, -1]]
    assert set(model.recommend(asked, 4).ids()[0]) == {"a", "x"}
    assert model.threads == 1 and model.with_threads(2).update(new).threads == 2
    assert model.update(of_lists([[1, 2]])).vocab.ids.tolist() == ["a", "b", "x", "c", "1", "2"]
    timed = replace(new, times=np.arange(len(new.items)))
    with pytest.raises(DataError, match="the model's sessions have no times, but the new ones have times"):
        model.update(timed)
    with pytest.raises(DataError, match="the model's sessions have times, but the new ones have no times"):
        VSKNN().fit(timed).update(old)


def test_what_ages_must_be_said() -> None:
    model = SKNN().fit(of_lists(["ab"]))
    for given in ({}, {"before_ms": 1, "newest": 1}):
        with pytest.raises(SettingsError, match="either before_ms or newest must be given"):
            model.aged(**given)
    with pytest.raises(SettingsError, match="the model's sessions have no times; use newest"):
        model.aged(before_ms=0)


def generated(sessions: int = 4000, n: int = 800, seed: int = 0) -> Sessions:
    """Sessions of popular and rare items, some of them popular only for a while; with times."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, sessions)
    where = np.repeat(np.arange(sessions), lengths)
    items = (n * rng.random(len(where)) ** 4).astype(np.int64)
    burst = (where // 300 % 3 == 1) & (rng.random(len(where)) < 0.5)
    items[burst] = 1 + where[burst] // 900
    made = of_lists(np.split(items, np.cumsum(lengths)[:-1]), Vocab(np.arange(n)))
    return replace(made, times=where * 1000)


def wide_histories(n: int, count: int = 600) -> Sessions:
    rng = np.random.default_rng(1)
    lists = [(n * rng.random(rng.integers(0, 30)) ** rng.integers(1, 6)).astype(int).tolist() for _ in range(count)]
    return of_lists(lists, Vocab(np.arange(n)))


@pytest.mark.parametrize("sample", [1, 7, 100, 1000, 0])
@pytest.mark.parametrize("recipe", [SKNN(), SSCF()], ids=["sets", "counts"])
def test_candidates_are_the_newest(recipe: SessionKnn, sample: int) -> None:
    train = generated()
    asked = wide_histories(800, 100)
    numbers = replace(recipe, sample=sample).fit(train).neighbours(asked, len(train))[0]
    held = train.matrix() > 0
    for q in range(len(asked)):
        sharing = np.flatnonzero(held[:, np.unique(asked[q])].sum(axis=1)) if len(asked[q]) else []
        assert sorted(numbers[q][numbers[q] >= 0]) == list(sharing)[-sample:]


@pytest.mark.parametrize("name", NAMES)
def test_threads_and_batches_change_nothing(name: str) -> None:
    train, asked = generated(), wide_histories(800)
    model = recipe_class(name)(sample=300).fit(train)
    rows, weights = model.weights(asked, 40)
    for threads in (2, 3):
        again = model.with_threads(threads).weights(asked, 40)
        assert (again[0] == rows).all() and (again[1] == weights).all()
    near = model.neighbours(asked, 20)
    for q in range(0, len(asked), 7):
        alone = asked.take(np.array([q]))
        found = (*model.weights(alone, 40), *model.neighbours(alone, 20))
        for one, batch in zip(found, (rows, weights, *near), strict=True):
            assert (one[0] == batch[q]).all()
    with pytest.raises(SettingsError, match="threads must be at least 1, but is 0"):
        model.with_threads(0)


@pytest.mark.parametrize("recipe", [*(recipe_class(name)() for name in NAMES), SKNN(scoring="followers")])
@pytest.mark.parametrize("timed", [False, True])
def test_memory(recipe: SessionKnn, timed: bool) -> None:
    """At most three times the session arrays, the scratch of two threads counted."""
    train = generated(40_000, 9_000)  # as many items a session as in diginetica
    train = train if timed else replace(train, times=None)
    if isinstance(recipe, STAN) and timed:
        recipe = replace(recipe, snh=5.0)
    model = recipe.fit(train, threads=2)
    model.recommend(wide_histories(9_000), 20)
    given = [train.offsets, train.items, *([] if train.times is None else [train.times])]
    held = [*model.arrays.values(), *model.index, *(array for pad in model.pads for array in pad)]
    distinct = {array.__array_interface__["data"][0]: array.nbytes for array in held}
    assert len(model.pads) <= 2
    assert sum(distinct.values()) <= 3 * sum(array.nbytes for array in given)


@pytest.mark.parametrize("name", NAMES)
def test_histories_that_say_nothing(name: str) -> None:
    model = recipe_class(name)().fit(sessions_of([Past(list("ab")), Past([]), Past(list("bc"))]))
    asked = of_lists(["", "xyz", "f", "xa"])  # f is known, but no session holds it
    answer, (numbers, similarities) = model.recommend(asked, 6), model.neighbours(asked, 2)
    assert answer.ids()[:3] == [[], [], []] and answer.ids()[3] == ["b"]
    assert (numbers[:3] == -1).all() and np.isneginf(similarities[:3]).all() and numbers[3].tolist() == [0, -1]
    for k in (0, -1, 4):
        with pytest.raises(SettingsError, match=f"k must lie between 1 and the 3 training sessions, but is {k}"):
            model.neighbours(asked, k)
    nobody = recipe_class(name)().fit(sessions_of([]))
    assert nobody.recommend(asked, 6).ids() == [[], [], [], []]


def test_times_decide_what_is_new() -> None:
    past = [Past(["a", "b"], [5, 6]), Past(["a", "c"], [1, 9]), Past(["a", "d"], [2, 6])]
    asked = asked_of(["a"])
    assert SKNN().fit(sessions_of(past)).neighbours(asked, 3)[0].tolist() == [[1, 2, 0]]
    untimed = [Past(p.items) for p in past]
    assert SKNN().fit(sessions_of(untimed)).neighbours(asked, 3)[0].tolist() == [[2, 1, 0]]


def test_sessions_fade_with_age() -> None:
    past = [Past(["a", "b"], [0, 0]), Past(["a", "c"], [0, 2 * DAY])]
    model = STAN(snh=2.0, spw=None, inh=None).fit(sessions_of(past))
    cosine = 1 / np.sqrt(2)
    late, untimed, early = (model.neighbours(asked_of(["a"], at), 2)[1][0] for at in ([4 * DAY], None, [DAY]))
    assert late.tolist() == pytest.approx([cosine / np.e, cosine / np.e**2])
    assert untimed.tolist() == pytest.approx([cosine, cosine / np.e])  # as late as the newest session
    assert early.tolist() == pytest.approx([cosine, cosine / np.e**0.5])  # what is newer does not gain
    with pytest.raises(SettingsError, match=r"stan decays sessions by age \(snh 2 days\), but they have no"):
        STAN(snh=2.0).fit(sessions_of([Past(["a"])]))
    with pytest.raises(SettingsError, match="vstan decays sessions by age"):
        VSTAN(snh=2.0).fit(sessions_of([Past(["a"])]))


def test_by_hand() -> None:
    model = VSKNN(similarity="vec", idf=1).fit(sessions_of([Past(list(x)) for x in ("ab", "bbc", "cd")]))
    asked = asked_of(["ab", "ba"])
    numbers, similarities = model.neighbours(asked, 3)
    assert numbers.tolist() == [[0, 1, -1], [0, 1, -1]]
    assert similarities[:, :2].tolist() == [[0.75, 0.5], [0.75, 0.25]]
    answer = model.recommend(asked, 6, exclude_seen=False)
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
def test_refused_settings(make: Any, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        make()
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("offsets", [1, 2, 4], "offsets of sessions must ascend from 0"),
        ("offsets", [0, 5, 4], "offsets of sessions must ascend from 0"),
        ("items", [0, 1, 6, 1], "items of sessions must be rows of 6 items, but some are out of range"),
        ("items", [0, 1, -7, 1], "items of sessions must be rows of 6 items, but some are out of range"),
        ("numbers", [1, 1], "2 sessions must have the numbers 0 … 1, each once"),
        ("times", [5, 4], "sessions must be sorted by times, but are not"),
        ("times", [5, 6, 7], "times of 2 sessions must be int64"),
    ],
)
def test_arrays_that_are_no_sessions(name: str, array: list[int], message: str) -> None:
    arrays = dict(SKNN().fit(sessions_of([Past(list("ab"), [1, 2]), Past(list("bc"), [3, 4])])).arrays)
    arrays[name] = np.array(array, dtype=arrays[name].dtype)
    with pytest.raises(DataError, match=message):
        SKNN().from_arrays(LETTERS, arrays)
