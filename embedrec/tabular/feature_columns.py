"""Types of the columns of feature tables: number, text, list of texts, or date.

Numbers become numeric features, texts categorical ones, and lists (of Parquet and JSON, or texts split at "|") lists;
booleans are 0 and 1, dates days since 1970. Ids and codes are texts: columns with the name of a code (category_id,
zip), digits with a leading zero (007), and whole numbers from 2**53, which a float cannot distinguish. NA, NULL and
similar words are missing values (`MISSING`).
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.events import DAY
from embedrec.errors import DataError
from embedrec.tabular import parse_values

Kind = Literal["number", "text", "list", "date"]
KINDS: tuple[str, ...] = get_args(Kind)

_CODES = "id|ids|code|codes|uuid|guid|sku|isbn|ean|upc|gtin|asin|mbid|zip|zipcode|postcode"
_CALLED = re.compile(rf"(^|_)({_CODES})$", re.I)
_CAMEL = re.compile(r"[a-z0-9](ID|Id|Ids|Code|Codes|UUID|Uuid|SKU|Sku|Zip)$")
_PLAIN_NUMBER = r"^[-+]?([1-9][0-9]*|0)?(\.[0-9]*)?([eE][-+]?[0-9]+)?$"  # without a leading zero, as in codes
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]*Z?)?$"
_FEW = 64
_EXACT = 2**53  # below it, 64-bit floats represent every whole number
MISSING = (*parse_values.MISSING, "NaN", "nan")


def is_code_name(name: str) -> bool:
    """Whether a column has the name of an id or code: "category_id", "zip", "storeId"."""
    return _CALLED.search(name) is not None or _CAMEL.search(name) is not None


class FeatureColumn:
    """One column: its parts as numbers, texts or lists of texts, and its final type.

    code   whether it has the name of an id or code; its values are texts
    dated  whether its numbers are days since 1970
    """

    def __init__(self, name: str, kind: Kind | None, split: str) -> None:
        self.name = name
        self.kind: Kind | None = kind
        self.split = split
        self.code = is_code_name(name)
        self.dated = False
        self.parts: list[Any] = []

    def add(self, part: Any, name: str, source: object) -> None:
        """Add the values of a batch. Raises DataError for a type that cannot be a feature."""
        if self.kind == "number" and not pa.types.is_floating(part.type):
            part = pa.array(parse_values.floats(part, name)[0], from_pandas=True)
        elif self.kind == "list" and not _is_list(part.type):
            part = self._split(pc.cast(part, pa.string()))
        elif self.kind == "text":
            part = pc.cast(part, pa.string())
        else:
            self.dated |= pa.types.is_timestamp(part.type) or pa.types.is_date(part.type)
            part = _simplify(part, name, source)
        self.parts.append(part)

    def whole(self) -> Any:
        """All parts as one Arrow array of float64 (or float32, as in the source), string or list of string.

        Raises DataError if the column must hold dates and a text is not a date.
        """
        kinds = {part.type for part in self.parts}
        if any(map(_is_list, kinds)) or self.kind == "list":
            lists = [part if _is_list(part.type) else self._split(part) for part in self.parts]
            return pa.chunked_array(lists, pa.list_(pa.string())).combine_chunks()
        if not any(map(_is_text, kinds)) and self.kind != "text" and not self._are_codes():
            number = pa.float32() if kinds == {pa.float32()} else pa.float64()
            numbers = [pc.cast(part, number, safe=False) for part in self.parts]
            return pa.chunked_array(numbers, number).combine_chunks()
        parts = [part if part.type == pa.string() else pc.cast(part, pa.string()) for part in self.parts]
        texts = parts[0] if len(parts) == 1 else pa.chunked_array(parts, pa.string()).combine_chunks()
        if self.kind is None and (numbers := self._numbers(texts)) is not None:
            return numbers  # the fast path for most columns of a wide table
        texts = parse_values.without_missing(pc.utf8_trim_whitespace(texts), MISSING)
        values = self._guessed(texts) if self.kind in (None, "date") else texts
        if self.kind == "date" and not self.dated:
            raise DataError(f"the column {self.name!r} must contain dates as 2024-05-31, but does not")
        return values

    def _are_codes(self) -> bool:
        """Whether numbers are ids or codes: by the name of the column, or because a float cannot distinguish them.

        Ids in a float column (as when some are missing) become whole numbers again.
        """
        if self.kind is not None or self.dated:
            return False
        if self.code:
            casts = [
                parse_values.cast(part, pa.int64()) if pa.types.is_floating(part.type) else (part, None)
                for part in self.parts
            ]
            if all(wrong is None or not wrong.any() for _, wrong in casts):
                self.parts = [part for part, _ in casts]
                return True
        return any(_beyond_floats(part) for part in self.parts if pa.types.is_integer(part.type))

    def _guessed(self, texts: Any) -> Any:
        """Texts as numbers, dates or lists if all of them are; else unchanged."""
        given = texts.drop_null()
        first = given[0].as_py() if len(given) else ""  # which decides for most columns
        if re.search(_DATE, first) and pc.all(pc.match_substring_regex(given, _DATE)).as_py():
            days, wrong = parse_values.cast(given, pa.timestamp("ms"))
            if not wrong.any():
                self.dated = True
                known = np.full(len(texts), np.nan)
                known[texts.is_valid().to_numpy(zero_copy_only=False)] = pc.cast(days, pa.int64()).to_numpy() / DAY
                return pa.array(known, from_pandas=True)
        numbers = self._numbers(texts)
        if numbers is not None:
            return numbers
        if pc.any(pc.match_substring(given, self.split)).as_py():
            return self._split(texts)
        return texts

    def _numbers(self, texts: Any) -> Any:
        """Texts as float64 if all of them are finite numbers and none is a code; else None."""
        first = texts[0].as_py() if len(texts) else None
        if self.code or (first is not None and not re.search(_PLAIN_NUMBER, first)):
            return None
        try:
            numbers = pc.cast(texts, pa.float64())
        except pa.ArrowInvalid:
            return None
        plain = numbers.to_numpy(zero_copy_only=False)
        known = plain[~np.isnan(plain)] if numbers.null_count else plain
        if not np.isfinite(known).all() or not _all_match(texts, _PLAIN_NUMBER):
            return None
        large = np.abs(known).max(initial=0) >= _EXACT
        return None if large and pc.all(pc.match_substring_regex(texts, r"^[-+]?[0-9]+$")).as_py() else numbers

    def _split(self, texts: Any) -> Any:
        return _split_lists(pc.split_pattern(pc.cast(texts, pa.string()), self.split))


def _all_match(texts: Any, pattern: str) -> bool:
    """Whether all texts that are not missing match; few are matched without the start-up cost of Arrow."""
    if len(texts) > _FEW:
        return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False
    return all(text is None or re.search(pattern, text) for text in texts.to_pylist())


def _simplify(part: Any, name: str, source: object) -> Any:
    """Any column as int64, float64 or float32, string, list of string, or nulls."""
    kind = part.type
    if _is_list(kind) and not pa.types.is_nested(kind.value_type):
        return _split_lists(pc.cast(part, pa.list_(pa.string())))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = pc.cast(pc.cast(part, pa.timestamp("ms"), safe=False), pa.int64())
        return pc.divide(pc.cast(stamps, pa.float64(), safe=False), float(DAY))  # days since 1970
    if _is_text(kind):
        return pc.cast(part, pa.string())
    if pa.types.is_boolean(kind):
        return pc.cast(pc.cast(part, pa.int8()), pa.float64())
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return _whole_numbers(part)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return part if pa.types.is_float32(kind) else pc.cast(part, pa.float64(), safe=False)
    raise DataError(f"the column {name!r} of {source} has the type {kind}, but a feature is a number, a text or a list")


def _whole_numbers(part: Any) -> Any:
    """Whole numbers as int64 if they fit into 64 bits, else as texts."""
    numbers, wrong = parse_values.cast(part, pa.int64())
    return pc.cast(part, pa.string()) if wrong.any() else numbers


def _beyond_floats(numbers: Any) -> bool:
    """Whether some whole numbers are too large for a float to distinguish."""
    low, high = pc.min_max(numbers).as_py().values()
    return low is not None and max(-low, high) >= _EXACT


def _split_lists(lists: Any) -> Any:
    """Lists of stripped texts without empty ones."""
    words = pc.utf8_trim_whitespace(lists.flatten())
    rows = pc.list_parent_indices(lists).to_numpy()
    good = np.flatnonzero(pc.fill_null(pc.not_equal(words, ""), False).to_numpy(zero_copy_only=False))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[good], minlength=len(lists)))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), words.take(pa.array(good)))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
