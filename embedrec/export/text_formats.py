"""Lists as bytes: the article's text, TSV, JSON lines and Redis' protocol.

text   seed result_1 result_2 …, separated by spaces; white space in ids is refused, or percent-encoded
tsv    seed, rank, result, score, one line a result; TAB, newline and backslash in ids as \\t, \\n, \\r and \\\\
csv    the same columns under their names; ids with comma, quote or line break in quotes, as RFC 4180 has it
jsonl  {"item": seed, "similar": [{"id": result, "score": score}, …]}, one line a seed

redis  a list of results at PREFIXseed, replaced in one transaction, for `redis-cli --pipe`

With names, tables have a column of them for seeds and one for results, as far as they have some; jsonl has "name"
beside every id.

Scores are written in the shortest way that gives the same float32.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.export.result_lists import ResultLists
from embedrec.vectors.file_formats import Whitespace, words_of

if TYPE_CHECKING:
    from embedrec.kernels.format_lists import Texts

TextFormat = Literal["text", "tsv", "csv", "jsonl", "redis"]
Encoder = Callable[[slice, np.ndarray, np.ndarray], memoryview]  # seeds, rows (b, k), scores (b, k) → bytes
_SEPARATORS = {"tsv": "\t", "csv": ","}
_SPECIAL = re.compile('[",\r\n]')
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def encoder(
    answers: ResultLists, kind: TextFormat, k: int, *, whitespace: Whitespace, prefix: str, names: bool = False
) -> Encoder:
    """What turns a slice of the seeds with their lists (b, k) into bytes.

    whitespace  of ids in "text"
    prefix      of keys in "redis"
    names       whether names stand beside ids, where there are some

    Raises DataError for ids that the format cannot hold.
    """
    answers.columns_with(names)
    if kind in _SEPARATORS:
        return _pairs(answers, kind, k, names)
    from embedrec.kernels.format_lists import Line, weave_lists

    parts: dict[str, bytes] = dict.fromkeys(("start", "first", "middle", "after", "between", "end"), b"")
    counted: list[bytes] = [b""] * (k + 1)
    if kind == "text":
        words = _texts(words_of(answers.vocab, whitespace).tolist())
        seeds = words if _same(answers) else _texts(words_of(answers.seeds, whitespace).tolist())
        parts |= {"first": b" ", "between": b" ", "end": b"\n"}
    elif kind == "jsonl":
        words = _texts(_objects(answers.vocab, names))
        seeds = words if _same(answers) else _texts(_objects(answers.seeds, names))
        seed, result = answers.columns
        parts |= {"start": b'{"%s": ' % seed.encode(), "middle": b', "score": ', "after": b"}", "end": b"]}\n"}
        parts |= {"first": b'{"id": ', "between": b', {"id": '}
        counted = [b', "%s": [' % result.encode()] * (k + 1)
    else:
        words = _texts(_argument(word) for word in _plain(answers.vocab))
        seeds = _texts(_argument(prefix.encode() + word) for word in _plain(answers.seeds))
        parts |= {"start": b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n", "end": b"*1\r\n$4\r\nEXEC\r\n"}
        counted = [b"*%d\r\n$5\r\nRPUSH\r\n" % (count + 2) if count else b"" for count in range(k + 1)]
    arrays = {name: np.frombuffer(part, dtype=np.uint8) for name, part in parts.items()}
    line = Line(counted=_texts(counted), twice=kind == "redis", **arrays)
    around = sum(map(len, parts.values())) + max(map(len, counted))

    def encode(here: slice, rows: np.ndarray, scores: np.ndarray) -> memoryview:
        there = rows >= 0
        said = _score_texts(scores[there]) if kind == "jsonl" else _texts([])
        asked = np.arange(here.start, here.stop)
        size = _size(words, rows[there]) + len(said.data) + 2 * _size(seeds, asked)
        out = np.empty(size + around * (int(there.sum()) + len(rows)), dtype=np.uint8)
        return out.data[: weave_lists(line, seeds, words, said, asked, rows, out)]

    return encode


def header(answers: ResultLists, kind: TextFormat, names: bool) -> bytes:
    """The line of column names of "tsv" and "csv"."""
    return (_SEPARATORS[kind].join(answers.columns_with(names)) + "\n").encode()


def _pairs(answers: ResultLists, kind: TextFormat, k: int, names: bool) -> Encoder:
    from embedrec.kernels.format_lists import weave_pairs

    separator, cell = _SEPARATORS[kind], _CELLS[kind]
    words = _texts(map(cell, map(str, answers.vocab.ids.tolist())))
    seeds = words
    if not _same(answers):
        seeds = _texts(map(cell, map(str, answers.seeds.ids.tolist())))
    seed_ends, word_ends = (
        _texts([separator + cell(str(name)) for name in held.names] if names and held.names is not None else [])
        for held in (answers.seeds, answers.vocab)
    )
    ranks = _texts(str(rank).encode() for rank in range(1, k + 1))

    def encode(here: slice, rows: np.ndarray, scores: np.ndarray) -> memoryview:
        there = rows >= 0
        said = _score_texts(scores[there])
        asked = np.arange(here.start, here.stop)
        size = _size(words, rows[there]) + len(said.data) + _size(seeds, np.repeat(asked, there.sum(axis=1)))
        if len(seed_ends.ends) > 1:
            size += _size(seed_ends, np.repeat(asked, there.sum(axis=1)))
        if len(word_ends.ends) > 1:
            size += _size(word_ends, rows[there])
        out = np.empty(size + (4 + len(str(k))) * int(there.sum()), dtype=np.uint8)
        ends = seed_ends, word_ends
        return out.data[: weave_pairs(ord(separator), ranks, seeds, words, said, *ends, asked, rows, out)]

    return encode


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _in_quotes(text: str) -> str:
    """A field of CSV (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


_CELLS: dict[str, Callable[[str], str]] = {"tsv": _escaped, "csv": _in_quotes}


def _objects(vocab: Vocab, names: bool) -> Iterable[str]:
    """The ids as JSON, each with what says its name behind it."""
    ids = map(_json, vocab.ids.tolist())
    if not names or vocab.names is None:
        return ids
    return (f'{i}, "name": {_json(str(name))}' for i, name in zip(ids, vocab.names.tolist(), strict=True))


def _same(answers: ResultLists) -> bool:
    return answers.seeds is answers.vocab


def _texts(words: Iterable[str] | Iterable[bytes]) -> Texts:
    """Raises DataError for a text that is not Unicode (a lone surrogate)."""
    import pyarrow as pa

    from embedrec.kernels.format_lists import Texts

    listed = words if isinstance(words, list) else list(words)
    try:  # Arrow puts them end to end without a Python object for each
        column = pa.array(listed, pa.large_binary() if listed and isinstance(listed[0], bytes) else pa.large_string())
    except UnicodeEncodeError as e:
        raise DataError(f"the text {e.object!r} is not valid Unicode; repair it") from None
    _, ends, data = column.buffers()
    found = np.zeros(1, np.int64) if not listed else np.frombuffer(ends, dtype=np.int64)[: len(listed) + 1]
    return Texts(np.frombuffer(data or b"", dtype=np.uint8), found)


def _score_texts(scores: np.ndarray) -> Texts:
    """Scores (m,) float32 as the shortest texts that give them back."""
    import pyarrow as pa

    from embedrec.kernels.format_lists import Texts

    if not len(scores):
        return _texts([])
    _, ends, data = pa.array(scores).cast(pa.string()).buffers()
    found = np.frombuffer(ends, dtype=np.int32)[: len(scores) + 1].astype(np.int64)
    return Texts(np.frombuffer(data, dtype=np.uint8), found)


def _size(texts: Texts, rows: np.ndarray) -> int:
    return int((texts.ends[rows + 1] - texts.ends[rows]).sum())


def _bytes(words: Iterable[str]) -> Iterable[bytes]:
    try:
        return [word.encode() for word in words]
    except UnicodeEncodeError as e:
        raise DataError(f"the text {e.object!r} is not valid Unicode; repair it") from None


def _plain(vocab: Vocab) -> Iterable[bytes]:
    return _bytes(map(str, vocab.ids.tolist()))


def _json(value: int | str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _argument(word: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(word), word)
