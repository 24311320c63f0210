"""Sessions as plain Python lists: what Hypothesis draws, and what the slow twins of splits and questions work on."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from tests.conftest import read_only


class Event(NamedTuple):
    """One event; time and weight None where the sessions have none."""

    item: Any
    time: int | None = None
    weight: float | None = None


class Plain(NamedTuple):
    """One session."""

    id: Any
    user: Any
    events: tuple[Event, ...]

    @property
    def items(self) -> list[Any]:
        return [e.item for e in self.events]


@st.composite
def plain_sessions(
    draw: st.DrawFn, *, times: bool | None = None, users: bool | None = None, weights: bool | None = None
) -> list[Plain]:
    """Random sessions, also empty ones and none at all; ids are texts or integers. True: always with that column."""
    with_times, with_users, with_weights = (draw(st.booleans()) if w is None else w for w in (times, users, weights))
    numbers = draw(st.booleans())
    items: list[Any] = [30, 4, 100, -5, 6] if numbers else ["a", "bb", "B", "é", "a b"]
    ids: list[Any] = draw(st.permutations(range(70, 77)))
    made = []
    for s in range(draw(st.integers(0, 7))):
        events = draw(st.lists(st.sampled_from(items), max_size=6))
        when = sorted(draw(st.lists(st.integers(0, 8), min_size=len(events), max_size=len(events))))
        stars = draw(st.lists(st.integers(1, 5), min_size=len(events), max_size=len(events)))
        user = draw(st.sampled_from(["ann", "bob", "cy"])) if with_users else None
        made.append(
            Plain(
                ids[s] if numbers else f"s{ids[s]}",
                user,
                tuple(
                    Event(i, 1000 * t if with_times else None, float(w) if with_weights else None)
                    for i, t, w in zip(events, when, stars, strict=True)
                ),
            )
        )
    return made


def sessions_of(plain: list[Plain], *, more: tuple[Any, ...] = ()) -> Sessions:
    """The same as Sessions, nothing in them writable; the vocabulary is in no order, and may hold `more` items."""
    flat = [e for p in plain for e in p.events]
    ids = list(dict.fromkeys([*more, *(e.item for e in reversed(flat))]))
    vocab = Vocab(ids)
    some = flat[0] if flat else Event(None)

    def column(values: list[Any], dtype: str, there: Any) -> Any:
        return None if there is None else read_only(np.array(values, dtype=dtype))

    return Sessions(
        read_only(np.cumsum([0, *(len(p.events) for p in plain)])),
        read_only(vocab.rows([e.item for e in flat]).astype(np.int32)),
        Vocab(read_only(vocab.ids)),
        read_only(np.array([p.id for p in plain], dtype=object)) if plain else np.zeros(0, np.int64),
        times=column([e.time for e in flat], "int64", some.time),
        weights=column([e.weight for e in flat], "float32", some.weight),
        users=column([p.user for p in plain], "object", plain[0].user if plain else None),
    )


def plain_of(sessions: Sessions) -> list[Plain]:
    """Sessions as plain lists."""
    ids, users = sessions.ids.tolist(), None if sessions.users is None else sessions.users.tolist()
    made = []
    for s in range(len(sessions)):
        at = range(int(sessions.offsets[s]), int(sessions.offsets[s + 1]))
        made.append(
            Plain(
                ids[s],
                None if users is None else users[s],
                tuple(
                    Event(
                        sessions.vocab.id(int(sessions.items[e])),
                        None if sessions.times is None else int(sessions.times[e]),
                        None if sessions.weights is None else float(sessions.weights[e]),
                    )
                    for e in at
                ),
            )
        )
    return made


def vocabulary_of_its_own(sessions: Sessions) -> bool:
    """Whether the vocabulary is what the sessions hold and nothing else, by falling count, ties by id."""
    counts = Counter(i for p in plain_of(sessions) for i in p.items)
    ids = sessions.vocab.ids.tolist()
    assert sessions.vocab.counts is not None
    return ids == sorted(counts, key=lambda i: (-counts[i], i)) and sessions.vocab.counts.tolist() == [
        counts[i] for i in ids
    ]
