"""Features of candidates computed one by one in plain Python, from the declared descriptions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.models.vector_model import VectorModel
from embedrec.ranking.candidates import Candidates

NAN = math.nan
DAY = 86_400_000


class Twin:
    """The training sessions as lists, and the features of one candidate as a dict by name."""

    def __init__(self, sessions: Sessions, parts: Sequence[tuple[str, Any]]) -> None:
        self.sessions, self.parts, self.n = sessions, parts, len(sessions.vocab)
        self.lists = [sessions[s].tolist() for s in range(len(sessions))]
        self.flat = sessions.items.tolist()
        self.mentions = Counter(self.flat)
        count = len(sessions)
        order = list(range(count))
        if sessions.times is not None:
            times = [*sessions.times.tolist(), 0]
            order.sort(key=lambda s: times[max(int(sessions.offsets[s + 1]) - 1, 0)])
        self.weights = [0.5 ** ((count - 1 - order.index(s)) / count / 0.1) for s in range(count)]
        self.times = None if sessions.times is None else sessions.times.tolist()
        self.scale = NAN
        if self.times is not None:
            gaps = [
                self.times[e] - self.times[e - 1]
                for s in range(len(sessions))
                for e in range(sessions.offsets[s] + 1, sessions.offsets[s + 1])
            ]
            gaps = sorted(gap for gap in gaps if gap > 0)
            middle = len(gaps) // 2
            self.scale = 1.0
            if gaps:
                self.scale = gaps[middle] if len(gaps) % 2 else (gaps[middle - 1] + gaps[middle]) / 2

    def features(self, histories: Sessions, candidates: Candidates, question: int, c: int) -> dict[str, float]:
        """The features of candidate c of a question."""
        item = int(candidates.items[c])
        history = histories[question].tolist()
        start = int(histories.offsets[question])
        times = None if histories.times is None else histories.times[start : start + len(history)].tolist()
        recent: list[int] = []
        ages: list[float] = []
        for e in range(len(history) - 1, -1, -1):
            if history[e] not in recent and len(recent) < 10:
                recent.append(history[e])
                ages.append(0.0 if times is None else times[-1] - times[e])
        by_place = [1 / (j + 1) for j in range(len(recent))]
        by_time = by_place if times is None else [1 / (1 + age / self.scale) for age in ages]
        out = self._parts(candidates, question, c)
        for name, model in self.parts:
            if isinstance(model, VectorModel):
                out[f"query score of {name}"] = self._query_score(model, item, history)
        for name, model in self.parts:
            if isinstance(model, VectorModel):
                values = [self._cosine(model, item, other) for other in recent]
                missing = math.isnan(self._cosine(model, item, item))
                usable = [j for j, other in enumerate(recent) if not math.isnan(self._cosine(model, other, other))]
                if missing:
                    usable = []
                known = [values[j] for j in usable]
                out[f"cosine of {name} with last"] = known[0] if known else NAN
                out[f"highest cosine of {name}"] = max(known) if known else NAN
                out[f"mean cosine of {name}"] = mean(known, [by_place[j] for j in usable])
                if self.times is not None:
                    out[f"mean cosine of {name} by time"] = mean(known, [by_time[j] for j in usable])
        for table in ("cooccurrence", "sequence", "next", "recent-sequence"):
            values = [self._pair(table, other, item) for other in recent]
            out[f"{table} with last"] = values[0] if values else NAN
            out[f"highest {table}"] = max(values) if values else NAN
            out[f"mean {table}"] = mean(values, by_place)
            if self.times is not None:
                out[f"mean {table} by time"] = mean(values, by_time)
        out["next after last two"] = self._next(history[-2:], 2, item)
        out["next after last three"] = self._next(history[-3:], 3, item)
        out |= self._popularity(item)
        out["repeats"] = history.count(item)
        out["events since"] = history[::-1].index(item) if item in history else NAN
        out["length"] = len(history)
        out["distinct share"] = len(set(history)) / len(history) if history else NAN
        if self.times is not None:
            seen = times if times else []
            out["duration"] = (seen[-1] - seen[0]) / 1000 if seen else NAN
            out["last gap"] = (seen[-1] - seen[-2]) / 1000 if len(seen) > 1 else NAN
            out |= self._clock(item, seen[-1] if seen else None)
        out |= self._items(item, recent, by_place)
        out |= self._users(item, None if histories.users is None else histories.users[question])
        return out

    def _parts(self, candidates: Candidates, question: int, c: int) -> dict[str, float]:
        out: dict[str, float] = {}
        own = range(candidates.offsets[question], candidates.offsets[question + 1])
        ranks = candidates.ranks[c].tolist()
        for p, (name, _) in enumerate(self.parts):
            first = max((float(candidates.scores[x, p]) for x in own if candidates.ranks[x, p] >= 0), default=NAN)
            present = ranks[p] >= 0
            score = float(candidates.scores[c, p]) if present else NAN
            out[f"rank of {name}"] = ranks[p] if present else NAN
            out[f"score of {name}"] = score
            out[f"relative score of {name}"] = score / abs(first) if present and first else NAN
        listed = [rank for rank in ranks if rank >= 0]
        out["best rank"] = min(listed) if listed else NAN
        out["reciprocal ranks"] = sum(1 / (60 + rank + 1) for rank in listed)
        return out

    def _next(self, run: list[int], length: int, item: int) -> float:
        """How often the item followed a run of that length at once, divided by 1 + how often any item did."""
        if len(run) < length or not any(
            items[e : e + length] == run for items in self.lists for e in range(len(items))
        ):
            return NAN
        after = [
            items[e + length]
            for items in self.lists
            for e in range(len(items) - length)
            if items[e : e + length] == run
        ]
        return after.count(item) / (1 + len(after))

    def _query_score(self, model: VectorModel, item: int, history: list[int]) -> float:
        """The score of the item in the whole list of the model for the history."""
        ids = self.sessions.vocab.ids
        if ids[item] not in model.vocab.ids:
            return NAN
        topk = model.recommend(Sessions.of_lists([ids[history].tolist()]), len(model.vocab), exclude_seen=False)
        return float(topk.scores[0, topk.ids()[0].index(ids[item])])

    def _cosine(self, model: VectorModel, a: int, b: int) -> float:
        rows = model.vocab.rows_of(self.sessions.vocab.ids[[a, b]])
        if (rows < 0).any():
            return NAN
        x, y = model.embeddings.vectors[rows].astype(float)
        norm = math.sqrt(x @ x) * math.sqrt(y @ y)
        return float(x @ y) / norm if norm else NAN

    def _pair(self, table: str, a: int, b: int) -> float:
        """The value of b as a partner of a."""
        total, weighted, reach = 0.0, 0.0, 1 if table == "next" else 10
        for items, recent in zip(self.lists, self.weights, strict=True):
            weight = recent if table == "recent-sequence" else 1.0
            weighted += items.count(a) * weight
            for i, x in enumerate(items):
                for j, y in enumerate(items):
                    if table == "cooccurrence" and i != j and abs(i - j) <= 50 and (x, y) == (a, b):
                        total += 1
                    if table != "cooccurrence" and 0 < j - i <= reach and (x, y) == (a, b):
                        total += weight / (j - i)
        if table == "cooccurrence":
            return total / math.sqrt(max(self.mentions[a], 1) * max(self.mentions[b], 1))
        return total / (1 + weighted)

    def _popularity(self, item: int) -> dict[str, float]:
        events = len(self.flat)
        if self.times is None:
            ages = [(events - 1 - e) / events for e in range(events)]
            windows = {f"last {w} percent": w / 100 for w in (1, 3, 10)}
        else:
            ages = [(max(self.times) - time) / DAY for time in self.times]
            windows = {f"last {w} days": w for w in (1, 3, 7)}
        own = [age for age, other in zip(ages, self.flat, strict=True) if other == item]
        out = {"popularity": math.log((len(own) + 0.5) / (events / self.n + 0.5))}
        for window, limit in windows.items():
            inside = sum(age < limit for age in ages)
            count = sum(age < limit for age in own)
            out[f"popularity of {window}"] = math.log((count + 0.5) / (inside / self.n + 0.5))
            out[f"trend of {window}"] = math.log((count + 2) / (len(own) * inside / max(events, 1) + 2))
        out |= {"age": max(own, default=NAN), "recency": min(own, default=NAN)}
        return out if own else dict.fromkeys(out, NAN)

    def _clock(self, item: int, time: int | None) -> dict[str, float]:
        names = ("hour", "weekday", "popularity at this time")
        if time is None:
            return dict.fromkeys(names, NAN)
        assert self.times is not None
        slots = [slot(t) for t in self.times]
        share = slots.count(slot(time)) / len(slots)
        count = sum(s == slot(time) and other == item for s, other in zip(slots, self.flat, strict=True))
        lift = math.log((count + 2) / (self.mentions[item] * share + 2))
        return dict(zip(names, (time % DAY / 3_600_000, weekday(time), lift), strict=True))

    def _items(self, item: int, recent: list[int], weights: list[float]) -> dict[str, float]:
        out: dict[str, float] = {}
        if self.sessions.item_features is None:
            return out
        aligned = self.sessions.item_features.align(self.sessions.vocab)
        for name, column in aligned.categorical.items():
            codes = [{int(code)} - {-1} for code in column.codes]
            out |= shared(name, codes[item], [codes[other] for other in recent], weights)
        for name, lists in aligned.lists.items():
            codes = [set(lists[row].tolist()) for row in range(self.n)]
            out |= shared(name, codes[item], [codes[other] for other in recent], weights)
        for name, numbers in aligned.numeric.items():
            values = np.float32(numbers).astype(float).tolist()
            ratio = name not in aligned.dates and all(math.isnan(v) or v > 0 for v in values)
            known = [j for j, other in enumerate(recent) if not math.isnan(values[other])]
            centre = mean([values[recent[j]] for j in known], [weights[j] for j in known])
            out[name] = values[item]
            last = values[recent[0]] if recent else NAN
            out[f"{name} to last"] = values[item] / last if ratio else values[item] - last
            out[f"{name} to mean"] = values[item] / centre if ratio else values[item] - centre
        return out

    def _users(self, item: int, user: Any) -> dict[str, float]:
        out: dict[str, float] = {}
        if self.sessions.users is None:
            return out
        users, side = self.sessions.users.tolist(), self.sessions.user_features
        known = user is not None and user in users
        of_user = sum(items.count(item) for u, items in zip(users, self.lists, strict=True) if u == user)
        out["events of the user"] = math.log(1 + of_user) if known else NAN
        if side is None:
            return out
        row = {u: int(r) for u, r in zip(users, side.vocab.rows_of(self.sessions.users), strict=True)}

        def code(column: Any, u: Any) -> int:
            return int(column.codes[row[u]]) if row[u] >= 0 else -1

        for name, column in side.categorical.items():
            key = f"popularity by {name} of the user"
            out[key] = NAN
            if known and code(column, user) >= 0:
                group = [
                    items for u, items in zip(users, self.lists, strict=True) if code(column, u) == code(column, user)
                ]
                count = sum(items.count(item) for items in group)
                share = sum(map(len, group)) / len(self.flat)
                out[key] = count / (self.mentions[item] * share + 2)
        for name, numbers in side.numeric.items():
            out[f"{name} of the user"] = float(numbers[row[user]]) if known and row[user] >= 0 else NAN
        return out


def mean(values: list[float], weights: list[float]) -> float:
    """The weighted mean, NaN of nothing."""
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights) if values else NAN


def shared(name: str, own: set[int], others: list[set[int]], weights: list[float]) -> dict[str, float]:
    """The features of categories."""
    values = [len(own & other) / len(own | other) if own and other else NAN for other in others]
    known = [j for j, value in enumerate(values) if not math.isnan(value)]
    average = mean([values[j] for j in known], [weights[j] for j in known])
    return {f"{name} shared with last": values[0] if values else NAN, f"mean {name} shared": average}


def weekday(time: int) -> int:
    return (time // DAY + 3) % 7


def slot(time: int) -> int:
    return time % DAY // (DAY // 4) + 4 * (weekday(time) >= 5)
