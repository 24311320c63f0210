"""Split rules against slow references in plain lists: which events each part contains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Features, Sessions, Vocab
from embedrec.data.sessions import sessionize
from embedrec.datasets.movielens_100k import user_cache
from embedrec.errors import DataError, SettingsError
from embedrec.readers.movielens import MovieLens
from embedrec.splitting.rules import (
    SPLITS,
    LastItem,
    LastSession,
    Random,
    Rule,
    Split,
    Tail,
    Time,
    UserShare,
    WarmTime,
    default_rule,
    in_words,
    rule_of,
)
from embedrec.tabular.read_settings import ReadSettings
from tests.conftest import of_lists
from tests.data.plain import Plain, plain_of, plain_sessions, sessions_of, vocabulary_of_its_own

Parts = tuple[list[Plain], list[tuple[Plain, int]]]  # training sessions; held-out ones with what is given of them
SHARES = ["0.05", "0.1", "0.25", "0.5", "0.8", "0.9"]
EMPTY = "the split leaves no session in the {} part; choose another rule or setting"
FEW_USERS = "the rule needs users, but the sessions have none; use another rule, or prepare a user column"
NO_TIMES = (
    "a split in time needs times, but the sessions have none; use tail (for sessions in order of time), random or "
    "last-item"
)


def parts_of_whole_sessions(plain: list[Plain], held: list[bool]) -> Parts | str:
    if all(held):
        return EMPTY.format("training")
    if not any(held):
        return EMPTY.format("held-out")
    train = [p for p, h in zip(plain, held, strict=True) if not h]
    return train, [(p, 0) for p, h in zip(plain, held, strict=True) if h]


def check(rule: Rule, plain: list[Plain], expected: Parts | str) -> None:
    """Assert that the rule gives exactly these parts, or fails with exactly this message."""
    sessions = sessions_of(plain, more=(Plain.__name__,) if plain and isinstance(plain[0].id, str) else ())
    if isinstance(expected, str):
        with pytest.raises(DataError) as error:
            rule.split(sessions, seed=1)
        assert str(error.value) == expected
        return
    train, test = rule.split(sessions, seed=1)
    assert plain_of(train) == expected[0]
    assert plain_of(test.sessions) == [p for p, _ in expected[1]]
    assert test.given.tolist() == [given for _, given in expected[1]]
    assert vocabulary_of_its_own(train) and vocabulary_of_its_own(test.sessions)


# ------------------------------------------------------------------------------------------------- in time


def cut_time(plain: list[Plain], rule: dict[str, Any], share: str) -> int | None:
    """The time of the cut; None without events."""
    times = sorted(e.time or 0 for p in plain for e in p.events)
    if not times:
        return None
    if "at" in rule:
        return int(rule["at"][-2:]) * 1000
    if "days" in rule:
        return round(times[-1] - rule["days"] * 86_400_000)
    late = ceil(Fraction(rule.get("share", share)) * len(times))
    return times[len(times) - late]


in_time: Any = st.one_of(
    st.just({}),
    st.sampled_from(SHARES).map(lambda s: {"share": s}),
    st.integers(0, 9).map(lambda s: {"at": f"1970-01-01T00:00:0{s}"}),
    st.integers(1, 9).map(lambda s: {"days": s / 86_400}),
)


def create_rule(cls: Callable[..., Rule], rule: dict[str, Any], **more: Any) -> Rule:
    return cls(**{k: float(v) if k == "share" else v for k, v in rule.items()}, **more)


@given(plain_sessions(times=True), in_time)
def test_splits_in_time_equal_a_slow_reference(plain: list[Plain], rule: dict[str, Any]) -> None:
    cut = cut_time(plain, rule, "0.1")
    if cut is None:
        has_times = any(p.events for p in plain)
        check(create_rule(Time, rule), plain, NO_TIMES if not has_times else EMPTY)
        return
    check(
        create_rule(Time, rule),
        plain,
        parts_of_whole_sessions(plain, [any((e.time or 0) >= cut for e in p.events) for p in plain]),
    )


@given(plain_sessions(times=True), in_time, st.sampled_from([None, 3.0, 5.0]))
def test_warm_splits_in_time_equal_a_slow_reference(
    plain: list[Plain], rule: dict[str, Any], stars: float | None
) -> None:
    cut = cut_time(plain, rule, "0.2")
    split = create_rule(WarmTime, rule, min_rating=stars)
    if cut is None:
        check(split, plain, NO_TIMES)
        return
    if stars is not None and all(e.weight is None for p in plain for e in p.events):
        check(split, plain, "min_rating needs ratings, but the events have none; remove it")
        return
    early = [[e for e in p.events if (e.time or 0) < cut] for p in plain]
    known = {e.item for events in early for e in events}
    queries = [
        [
            e
            for e in p.events
            if (e.time or 0) >= cut and e.item in known and (stars is None or (e.weight or 0) >= stars)
        ]
        for p in plain
    ]
    train = [Plain(p.id, p.user, tuple(e)) for p, e in zip(plain, early, strict=True) if e]
    test = [(Plain(p.id, p.user, (*e, *a)), len(e)) for p, e, a in zip(plain, early, queries, strict=True) if e and a]
    fails = EMPTY.format("training") if not train else EMPTY.format("held-out")
    check(split, plain, (train, test) if train and test else fails)


def test_times_with_a_zone_are_converted_to_utc() -> None:
    sessions = sessions_with_times(["ab", "cd"], [[0, 3_600_000], [3_600_000, 7_200_000]])
    for at in ("1970-01-01T02:00:00", "1970-01-01T04:00:00+02:00", "1970-01-01T01:00:01"):
        assert [p.id for p in plain_of(Time(at=at).split(sessions).train)] == [0]
    with pytest.raises(DataError, match="no session in the training part"):
        Time(at="1970-01-01T02:00:00+01:00").split(sessions)


def test_sessions_without_events_are_refused() -> None:
    sessions = sessions_with_times(["", ""], [[], []])
    for rule in (Time(), WarmTime()):
        with pytest.raises(DataError) as error:
            rule.split(sessions)
        assert str(error.value) == "there are no events to split; prepare the data again"


def sessions_with_times(lists: list[str], times: list[list[int]], users: list[str] | None = None) -> Sessions:
    column = np.array([t for one in times for t in one], dtype=np.int64)
    sessions = replace(of_lists(lists), times=column)
    return sessions if users is None else replace(sessions, users=np.array(users, dtype=object))


# ------------------------------------------------------------------------------- by item, user, chance, place


@given(plain_sessions())
def test_splits_by_last_item_equal_a_slow_reference(plain: list[Plain]) -> None:
    long = [p for p in plain if len(p.events) > 1]
    if not long:
        check(LastItem(), plain, "no session has two items, so no item can be held out; prepare longer sessions")
        return
    train = [p._replace(events=p.events[:-1]) if len(p.events) > 1 else p for p in plain]
    check(LastItem(), plain, (train, [(p, len(p.events) - 1) for p in long]))


def by_user(plain: list[Plain]) -> dict[str, list[int]]:
    """The numbers of each user's sessions by time, else in their order; those without events are first."""
    of: dict[str, list[int]] = {}
    for s, p in enumerate(plain):
        of.setdefault(p.user, []).append(s)
    return {u: sorted(own, key=lambda s: next((e.time or 0 for e in plain[s].events), 0)) for u, own in of.items()}


@given(plain_sessions(users=True))
def test_splits_by_last_session_equal_a_slow_reference(plain: list[Plain]) -> None:
    held = {own[-1] for own in by_user(plain).values() if len(own) > 1}
    expected = parts_of_whole_sessions(plain, [s in held for s in range(len(plain))])
    check(LastSession(), plain, expected if plain else FEW_USERS)


@given(plain_sessions(users=True), st.sampled_from(SHARES))
def test_splits_by_user_equal_a_slow_reference(plain: list[Plain], share: str) -> None:
    held = {s for own in by_user(plain).values() for s in own[ceil(Fraction(share) * len(own)) :]}
    expected = parts_of_whole_sessions(plain, [s in held for s in range(len(plain))])
    check(UserShare(float(share)), plain, expected if plain else FEW_USERS)


@given(plain_sessions(), st.sampled_from(SHARES))
def test_tail_splits_equal_a_slow_reference(plain: list[Plain], share: str) -> None:
    late = max(1, floor(Fraction(share) * len(plain)))
    check(
        Tail(float(share)), plain, parts_of_whole_sessions(plain, [s >= len(plain) - late for s in range(len(plain))])
    )


@given(plain_sessions(), st.sampled_from(SHARES), st.integers(0, 2**63 - 1))
def test_random_splits_have_the_share_and_keep_the_order(plain: list[Plain], share: str, seed: int) -> None:
    rule = Random(float(share))
    if len(plain) < 2:
        check(rule, plain, EMPTY.format("training"))
        return
    split = rule.split(sessions_of(plain), seed=seed)
    held = {p.id for p in plain_of(split.test.sessions)}
    assert len(held) == max(1, floor(Fraction(share) * len(plain)))
    assert ids(split) == ids(rule.split(sessions_of(plain), seed=seed))
    expected = parts_of_whole_sessions(plain, [p.id in held for p in plain])
    assert not isinstance(expected, str)
    assert plain_of(split.train) == expected[0]  # in the order they stood in
    assert [(p, 0) for p in plain_of(split.test.sessions)] == expected[1]
    assert not split.test.given.any()
    assert vocabulary_of_its_own(split.train) and vocabulary_of_its_own(split.test.sessions)


def ids(split: Split) -> tuple[list[Any], list[Any]]:
    return split.train.ids.tolist(), split.test.sessions.ids.tolist()


def test_random_splits_draw_all_sessions_equally_often() -> None:
    sessions = of_lists(["ab"] * 10)
    held = [ids(Random(0.3).split(sessions, seed=seed))[1] for seed in range(100)]
    counts = np.bincount(np.concatenate(held), minlength=10)
    assert counts.sum() == 300 and 12 < counts.min() <= counts.max() < 48  # 30 each, deviation 4.6


def test_only_random_uses_the_seed() -> None:
    sessions = sessions_with_times(
        ["ab", *["bc", "ca"] * 3], [[0, 99], *([t, t + 1] for t in range(10, 70, 10))], ["u"] * 7
    )
    for name, rule in SPLITS.items():
        drawn = {tuple(map(tuple, ids(rule().split(sessions, seed=seed)))) for seed in range(20)}
        assert (len(drawn) > 1) == (name == "random")


# ------------------------------------------------------------------------------------------------ settings


def test_every_rule_is_registered_under_its_name() -> None:
    assert list(SPLITS) == ["time", "warm-time", "last-item", "last-session", "user-share", "random", "tail"]
    for name, rule in SPLITS.items():
        assert rule().name == name


@pytest.mark.parametrize("cls", [Time, WarmTime])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"at": "2024-05-31", "days": 1},
            "a split in time takes one of at, days and share, but has at and days; keep one",
        ),
        (
            {"at": "2024-05-31", "days": 1, "share": 0.5},
            "a split in time takes one of at, days and share, but has at and days and share; keep one",
        ),
        ({"days": 0}, "days must be a positive number, but is 0"),
        ({"days": -1.5}, "days must be a positive number, but is -1.5"),
        ({"days": float("nan")}, "days must be a positive number, but is nan"),
        ({"days": float("inf")}, "days must be a positive number, but is inf"),
        ({"share": 0.0}, "share must be between 0 and 1, but is 0.0"),
        ({"share": 1.0}, "share must be between 0 and 1, but is 1.0"),
        ({"share": float("nan")}, "share must be between 0 and 1, but is nan"),
        ({"at": "yesterday"}, "at must be a date such as 2024-05-31 or 2024-05-31T23:59:00, but is 'yesterday'"),
        ({"at": "2024-13-01"}, "at must be a date such as 2024-05-31 or 2024-05-31T23:59:00, but is '2024-13-01'"),
    ],
)
def test_invalid_settings_of_a_split_in_time_are_refused(
    cls: Callable[..., Rule], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError) as error:
        cls(**settings)
    assert str(error.value) == message


@pytest.mark.parametrize("cls", [UserShare, Random, Tail])
@pytest.mark.parametrize("share", [0, 1, -0.1, 2.0, float("nan"), float("inf")])
def test_shares_outside_0_and_1_are_refused(cls: Callable[..., Rule], share: float) -> None:
    with pytest.raises(SettingsError) as error:
        cls(share)
    assert str(error.value) == f"share must be between 0 and 1, but is {share}"


def test_sessions_without_needed_columns_are_refused() -> None:
    sessions = of_lists(["ab", "bc", "cd"])
    for rule in (Time(), WarmTime()):
        with pytest.raises(DataError) as error:
            rule.split(sessions)
        assert str(error.value) == NO_TIMES
    for user_rule in (LastSession(), UserShare()):
        with pytest.raises(DataError) as error:
            user_rule.split(sessions)
        assert str(error.value) == FEW_USERS


def test_the_default_rule_depends_on_times_and_users() -> None:
    without_users = sessions_with_times(["ab", "bc"], [[0, 1], [2, 3]])
    assert default_rule(without_users) == Time()
    assert (
        default_rule(sessions_with_times(["ab", "bc"], [[0, 1], [2, 3]], ["u", "u"])) == Time()
    )  # users of several sessions
    assert (
        default_rule(sessions_with_times(["ab", "bc"], [[0, 1], [2, 3]], ["u", "v"])) == LastItem()
    )  # a session is a whole user
    assert default_rule(of_lists(["ab", "bc"])) == LastItem()


# ------------------------------------------------------------------------------------- what travels along


def test_a_validation_part_is_cut_by_the_same_rule() -> None:
    sessions = of_lists(["ab", "bc", "ca", "cb", "ba"])
    train, test = Tail(0.4).split(sessions)
    smaller, valid = Tail(0.4).split(train)
    assert [s.ids.tolist() for s in (smaller, valid.sessions, test.sessions)] == [[0, 1], [2], [3, 4]]
    assert smaller.vocab.ids.tolist() == ["b", "a", "c"]


def test_parts_keep_names_kinds_and_features() -> None:
    vocab = Vocab(list("abc"), names=np.array(["A", "B", "C"], dtype=object))
    features = Features(Vocab(["c", "a"]), {"year": np.array([1.0, 2.0])})
    sessions = Sessions(
        [0, 2, 4], [0, 1, 2, 1], vocab, [7, 8],
        kinds=[0, 1, 1, 0], kind_names=["click", "buy"], item_features=features, users=["u", "v"],
    )  # type: ignore[arg-type]  # fmt: skip
    train, test = LastItem().split(sessions)
    held = test.sessions
    assert train.vocab.names is not None and held.vocab.names is not None
    assert dict(zip(train.vocab.ids, train.vocab.names, strict=True)) == {"a": "A", "c": "C"}
    assert held.vocab.name(int(held.vocab.rows(["b"])[0])) == "B"
    for part, kinds in ((train, [0, 1]), (held, [0, 1, 1, 0])):
        assert part.kinds is not None and part.kinds.tolist() == kinds
        assert part.kind_names is not None and part.kind_names.tolist() == ["click", "buy"]
        assert part.item_features is features and part.users is not None and part.users.tolist() == ["u", "v"]


# --------------------------------------------------------------------------------------- known figures


@pytest.fixture(scope="module")
def movielens() -> Sessions:
    folder = user_cache() / "ml-100k"
    if not (folder / "ml-100k.inter").is_file():
        pytest.skip(f"needs MovieLens 100K in {folder}, where `embedrec demo` puts it")
    return sessionize(MovieLens().read([folder], ReadSettings()))


def test_a_warm_split_in_time_of_movielens_has_known_sizes(movielens: Sessions) -> None:
    """The article's protocol of the two-tower network."""
    assert movielens.times is not None
    split = WarmTime(min_rating=4).split(movielens)
    train, test = split
    assert len(train.items) == 79_999
    assert train.times is not None
    assert int((movielens.times > train.times.max()).sum()) == 20_001
    assert (len(train), len(train.vocab), len(test)) == (751, 1616, 95)
    assert int((test.sessions.lengths - test.given).sum()) == 1571
    assert set(test.sessions.ids.tolist()) <= set(train.ids.tolist())


def test_a_random_split_of_movielens_has_known_sizes(movielens: Sessions) -> None:
    split = Random(0.1).split(movielens, seed=5)
    assert (len(split.train), len(split.test)) == (849, 94)


def test_a_split_by_user_of_movielens_has_known_sizes(movielens: Sessions) -> None:
    """One session per rating: of the n ratings of a user, ⌈share · n⌉ are in the training part."""
    count = len(movielens.items)
    users = np.repeat(movielens.ids, movielens.lengths)
    single = Sessions(
        np.arange(count + 1), movielens.items, movielens.vocab, np.arange(count), times=movielens.times, users=users
    )
    train, test = UserShare(0.8).split(single)
    trained = sum(-(-4 * n // 5) for n in movielens.lengths.tolist())
    assert (len(train), len(test)) == (trained, 100_000 - trained)
    assert train.times is not None and test.sessions.times is not None and train.users is not None
    last = dict(zip(train.users.tolist(), train.times.tolist(), strict=True))
    assert test.sessions.users is not None
    first = dict(zip(reversed(test.sessions.users.tolist()), reversed(test.sessions.times.tolist()), strict=True))
    assert all(last[u] <= first[u] for u in first)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("time", Time()),
        ("time:", Time()),
        ("time:days=7", Time(days=7.0)),
        ("time:at=2024-05-31T10:00:00", Time(at="2024-05-31T10:00:00")),
        ("warm-time:share=.2,min_rating=4", WarmTime(share=0.2, min_rating=4.0)),
        ("random: share = 0.5 ,", Random(0.5)),
        ("user-share:share=.75", UserShare(0.75)),
    ],
)
def test_rules_are_parsed_and_formatted(text: str, rule: Rule) -> None:
    assert rule_of(text) == rule
    assert rule_of(in_words(rule)) == rule


def test_rules_are_formatted_with_their_settings() -> None:
    assert [in_words(rule()) for rule in SPLITS.values()] == [
        "time", "warm-time", "last-item", "last-session", "user-share:share=0.8", "random:share=0.1", "tail:share=0.1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tine", "no split rule is called 'tine'; did you mean 'time'?"),
        (
            "",
            "no split rule is called ''; valid rules are time, warm-time, last-item, last-session, user-share, random, "
            "tail",
        ),
        ("time:7", "settings of a split are key=value, such as time:days=7, but '7' has no '='"),
        ("time:day=7", "unknown setting 'day' in --split time:day=7; did you mean 'days'?"),
        ("last-item:share=.1", "unknown setting 'share' in --split last-item:share=.1; it has no settings"),
        ("random:share=ten", "setting 'share' in --split random:share=ten must be a number, but is 'ten'"),
        ("random:share=2", "share must be between 0 and 1, but is 2.0"),
        ("time:days=inf", "days must be a positive number, but is inf"),
    ],
)
def test_invalid_rules_are_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        rule_of(text)
    assert str(error.value) == message
