"""The results of a query as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Generic, Protocol, TypeVar, overload

from embedrec.errors import need_package

_SHOWN = 60  # rows of a printed table


class Result(Protocol):
    """A result of a query, a dataclass."""

    @property
    def id(self) -> Any:
        """The id of the item or session that was found."""
        ...


T = TypeVar("T", bound=Result)


@dataclass(frozen=True, repr=False)
class ResultTable(Sequence[T], Generic[T]):
    """The results of a query, best first: a sequence of `SimilarItem`, `RecommendedItem` or `NeighbourSession`.

    It prints as a table, and as an HTML table in notebooks.

    results   the results
    messages  remarks on the filter and the number of results

    >>> from embedrec.workflows.recommend import RecommendedItem
    >>> table = ResultTable((RecommendedItem(1, "jam", 0.9, "Jam"), RecommendedItem(2, "tea", 0.4, "Tea")))
    >>> table
    rank  item  score   name
    1     jam   0.9000  Jam
    2     tea   0.4000  Tea
    >>> table.ids()
    ['jam', 'tea']
    """

    results: tuple[T, ...]
    messages: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.results)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> ResultTable[T]: ...
    def __getitem__(self, at: int | slice) -> T | ResultTable[T]:
        return ResultTable(self.results[at], self.messages) if isinstance(at, slice) else self.results[at]

    def ids(self) -> list[Any]:
        """The ids of the results: of similar items, of recommended items, or of sessions."""
        return [result.id for result in self.results]

    def records(self) -> list[dict[str, Any]]:
        """A dict per result; without "sessions", "parts" and "features", the explanation, "name" and "time" if no
        result has any."""
        records = [asdict(result) for result in self.results]  # type: ignore[call-overload]
        optional = {"sessions": None, "parts": None, "features": None, "name": "", "time": ""}
        absent = {key for key, none in optional.items() if all(record.get(key, none) == none for record in records)}
        return [{key: value for key, value in record.items() if key not in absent} for record in records]

    def to_frame(self) -> Any:
        """A pandas.DataFrame with a row per result. Raises SettingsError if pandas is not installed."""
        need_package("pandas", "to_frame()")
        import pandas

        return pandas.DataFrame(self.records())

    def to_arrow(self) -> Any:
        """A pyarrow.Table with a row per result; `sessions` as a list of {"session", "similarity"}."""
        import pyarrow as pa

        records = self.records()
        for record in records:
            if record.get("sessions") is not None:
                record["sessions"] = [{"session": name, "similarity": value} for name, value in record["sessions"]]
        return pa.Table.from_pylist(records)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow stream, for polars.DataFrame(results) and DuckDB."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        names, rows = self._cells()
        if not rows:
            return "\n".join(["no results", *self.messages])
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in [names, *rows]
        ]
        return "\n".join([*lines, *self._more(), *self.messages])

    def _repr_html_(self) -> str:
        names, rows = self._cells()
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        notes = "".join(f"<div>{escape(line)}</div>" for line in (*self._more(), *self.messages))
        if not rows:
            return f"<div>no results</div>{notes}"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"

    def _more(self) -> list[str]:
        return [f"… {len(self) - _SHOWN:,} more"] if len(self) > _SHOWN else []

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """The names of the columns and the cells of the first rows, as texts; sessions have their items once."""
        records = self[:_SHOWN].records()
        shown = [{k: v for k, v in record.items() if not (k == "items" and "names" in record)} for record in records]
        return list(shown[0]) if shown else [], [[_text(value) for value in record.values()] for record in shown]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        pairs = (f"{one[0]} ({one[1]:.4f})" if isinstance(one, tuple) else str(one) for one in value)
        return " | ".join(pairs)
    if isinstance(value, dict):
        return " | ".join(f"{name} {number:g}" for name, number in value.items())
    return str(value).replace("\n", " ")
