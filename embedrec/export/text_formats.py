"""Encode lists as bytes: text, TSV, CSV, JSON lines, and the Redis protocol.

text   seed result_1 result_2 …, separated by spaces; white space in ids is refused or percent-encoded
tsv    seed, rank, result, score, one line per result; TAB, line breaks and backslash in ids as \\t, \\n, \\r and \\\\
csv    the same columns under a header; ids with comma, quote or line break are quoted (RFC 4180)
jsonl  {"item": seed, "similar": [{"id": result, "score": score}, …]}, one line per seed
redis  a list of results at PREFIXseed, replaced in one transaction, for `redis-cli --pipe`

With names, tables have a further column for seeds and one for results if these have names; jsonl has "name" after each
id. Scores are written as the shortest decimal that parses to the same float32.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np

from embedrec.data.result_lists import ResultLists
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.vectors.file_formats import Whitespace, words_of

if TYPE_CHECKING:
    from embedrec.kernels.format_lists import Texts

TextFormat = Literal["text", "tsv", "csv", "jsonl", "redis"]
Encoder = Callable[[slice, np.ndarray, np.ndarray], memoryview]  # seeds, rows (b, k), scores (b, k) → bytes
_SEPARATORS = {"tsv": "\t", "csv": ","}
_SPECIAL = re.compile('[",\r\n]')
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def encoder(
    lists: ResultLists, kind: TextFormat, k: int, *, whitespace: Whitespace, prefix: str, names: bool = False
) -> Encoder:
    """A function that encodes a slice of the seeds with their lists (b, k).

    whitespace  of ids in "text"
    prefix      of keys in "redis"
    names       whether to write names next to ids

    Raises DataError for ids that the format cannot contain, and for `names` if there are none.
    """
    lists.column_names(names)
    if kind in _SEPARATORS:
        return _table_encoder(lists, kind, k, names)
    from embedrec.kernels.format_lists import Line, format_lists

    parts: dict[str, bytes] = dict.fromkeys(("start", "first", "middle", "after", "between", "end"), b"")
    counted: list[bytes] = [b""] * (k + 1)
    if kind == "text":
        words = _texts(words_of(lists.vocab, whitespace).tolist())
        seeds = words if _same(lists) else _texts(words_of(lists.seeds, whitespace).tolist())
        parts |= {"first": b" ", "between": b" ", "end": b"\n"}
    elif kind == "jsonl":
        words = _texts(_objects(lists.vocab, names))
        seeds = words if _same(lists) else _texts(_objects(lists.seeds, names))
        seed, result = lists.columns
        parts |= {"start": b'{"%s": ' % seed.encode(), "middle": b', "score": ', "after": b"}", "end": b"]}\n"}
        parts |= {"first": b'{"id": ', "between": b', {"id": '}
        counted = [b', "%s": [' % result.encode()] * (k + 1)
    else:
        words = _texts(_argument(word) for word in _id_bytes(lists.vocab))
        seeds = _texts(_argument(prefix.encode() + word) for word in _id_bytes(lists.seeds))
        parts |= {"start": b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n", "end": b"*1\r\n$4\r\nEXEC\r\n"}
        counted = [b"*%d\r\n$5\r\nRPUSH\r\n" % (count + 2) if count else b"" for count in range(k + 1)]
    arrays = {name: np.frombuffer(part, dtype=np.uint8) for name, part in parts.items()}
    line = Line(counted=_texts(counted), twice=kind == "redis", **arrays)
    around = sum(map(len, parts.values())) + max(map(len, counted))

    def encode(part: slice, rows: np.ndarray, scores: np.ndarray) -> memoryview:
        valid = rows >= 0
        score_texts = _score_texts(scores[valid]) if kind == "jsonl" else _texts([])
        seed_rows = np.arange(part.start, part.stop)
        size = _size(words, rows[valid]) + len(score_texts.data) + 2 * _size(seeds, seed_rows)
        out = np.empty(size + around * (int(valid.sum()) + len(rows)), dtype=np.uint8)
        return out.data[: format_lists(line, seeds, words, score_texts, seed_rows, rows, out)]

    return encode


def header(lists: ResultLists, kind: TextFormat, names: bool) -> bytes:
    """The header line of "tsv" and "csv"."""
    return (_SEPARATORS[kind].join(lists.column_names(names)) + "\n").encode()


def _table_encoder(lists: ResultLists, kind: TextFormat, k: int, names: bool) -> Encoder:
    from embedrec.kernels.format_lists import format_pairs

    separator, cell = _SEPARATORS[kind], _CELLS[kind]
    words = _texts(map(cell, map(str, lists.vocab.ids.tolist())))
    seeds = words
    if not _same(lists):
        seeds = _texts(map(cell, map(str, lists.seeds.ids.tolist())))
    seed_ends, word_ends = (
        _texts([separator + cell(str(name)) for name in vocab.names] if names and vocab.names is not None else [])
        for vocab in (lists.seeds, lists.vocab)
    )
    ranks = _texts(str(rank).encode() for rank in range(1, k + 1))

    def encode(part: slice, rows: np.ndarray, scores: np.ndarray) -> memoryview:
        valid = rows >= 0
        score_texts = _score_texts(scores[valid])
        seed_rows = np.arange(part.start, part.stop)
        repeated = np.repeat(seed_rows, valid.sum(axis=1))
        size = _size(words, rows[valid]) + len(score_texts.data) + _size(seeds, repeated)
        if len(seed_ends.ends) > 1:
            size += _size(seed_ends, repeated)
        if len(word_ends.ends) > 1:
            size += _size(word_ends, rows[valid])
        out = np.empty(size + (4 + len(str(k))) * int(valid.sum()), dtype=np.uint8)
        ends = seed_ends, word_ends
        return out.data[: format_pairs(ord(separator), ranks, seeds, words, score_texts, *ends, seed_rows, rows, out)]

    return encode


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)


def _quote(text: str) -> str:
    """A field of CSV (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


_CELLS: dict[str, Callable[[str], str]] = {"tsv": _escape, "csv": _quote}


def _objects(vocab: Vocab, names: bool) -> Iterable[str]:
    """The ids as JSON, each followed by its name if `names`."""
    ids = map(_json, vocab.ids.tolist())
    if not names or vocab.names is None:
        return ids
    return (f'{i}, "name": {_json(str(name))}' for i, name in zip(ids, vocab.names.tolist(), strict=True))


def _same(lists: ResultLists) -> bool:
    return lists.seeds is lists.vocab


def _texts(words: Iterable[str] | Iterable[bytes]) -> Texts:
    """Concatenated texts. Raises DataError for a text that is not Unicode (a lone surrogate)."""
    import pyarrow as pa

    from embedrec.kernels.format_lists import Texts

    values = words if isinstance(words, list) else list(words)
    try:  # Arrow concatenates them without a Python object for each
        column = pa.array(values, pa.large_binary() if values and isinstance(values[0], bytes) else pa.large_string())
    except UnicodeEncodeError as e:
        raise DataError(f"the text {e.object!r} is not valid Unicode; repair it") from None
    _, ends, data = column.buffers()
    offsets = np.zeros(1, np.int64) if not values else np.frombuffer(ends, dtype=np.int64)[: len(values) + 1]
    return Texts(np.frombuffer(data or b"", dtype=np.uint8), offsets)


def _score_texts(scores: np.ndarray) -> Texts:
    """Scores (m,) float32 as the shortest decimals that parse to the same value."""
    import pyarrow as pa

    from embedrec.kernels.format_lists import Texts

    if not len(scores):
        return _texts([])
    _, ends, data = pa.array(scores).cast(pa.string()).buffers()
    offsets = np.frombuffer(ends, dtype=np.int32)[: len(scores) + 1].astype(np.int64)
    return Texts(np.frombuffer(data, dtype=np.uint8), offsets)


def _size(texts: Texts, rows: np.ndarray) -> int:
    return int((texts.ends[rows + 1] - texts.ends[rows]).sum())


def _id_bytes(vocab: Vocab) -> list[bytes]:
    try:
        return [str(i).encode() for i in vocab.ids.tolist()]
    except UnicodeEncodeError as e:
        raise DataError(f"the text {e.object!r} is not valid Unicode; repair it") from None


def _json(value: int | str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _argument(word: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(word), word)
