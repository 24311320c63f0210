"""Lists as bytes: the article's text, TSV, JSON lines and Redis' protocol.

text   seed result_1 result_2 …, separated by spaces; white space in ids is refused, or percent-encoded
tsv    seed, rank, result, score, one line a result; TAB, newline and backslash in ids as \\t, \\n, \\r and \\\\
jsonl  {"item": seed, "similar": [{"id": result, "score": score}, …]}, one line a seed
redis  a list of results at PREFIXseed, replaced in one transaction, for `redis-cli --pipe`

Scores are written in the shortest way that gives the same float32.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.export.answers import Answers
from embedrec.vector_files import Whitespace, words_of

if TYPE_CHECKING:
    from embedrec.kernels.weaving import Texts

TextFormat = Literal["text", "tsv", "jsonl", "redis"]
Encoder = Callable[[slice, np.ndarray, np.ndarray], memoryview]  # seeds, rows (b, k), scores (b, k) → bytes
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def encoder(answers: Answers, kind: TextFormat, k: int, *, whitespace: Whitespace, prefix: str) -> Encoder:
    """What turns a slice of the seeds with their lists (b, k) into bytes.

    whitespace  of ids in "text"
    prefix      of keys in "redis"

    Raises DataError for ids that the format cannot hold.
    """
    if kind == "tsv":
        return _pairs(answers, k)
    from embedrec.kernels.weaving import Line, weave_lists

    parts: dict[str, bytes] = dict.fromkeys(("start", "first", "middle", "after", "between", "end"), b"")
    counted: list[bytes] = [b""] * (k + 1)
    if kind == "text":
        words = _texts(words_of(answers.vocab, whitespace).tolist())
        seeds = words if _same(answers) else _texts(words_of(answers.seeds, whitespace).tolist())
        parts |= {"first": b" ", "between": b" ", "end": b"\n"}
    elif kind == "jsonl":
        words = _texts(map(_json, answers.vocab.ids.tolist()))
        seeds = words if _same(answers) else _texts(map(_json, answers.seeds.ids.tolist()))
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


def _pairs(answers: Answers, k: int) -> Encoder:
    from embedrec.kernels.weaving import weave_pairs

    words = _texts(i.translate(_ESCAPES) for i in map(str, answers.vocab.ids.tolist()))
    seeds = words
    if not _same(answers):
        seeds = _texts(i.translate(_ESCAPES) for i in map(str, answers.seeds.ids.tolist()))
    ranks = _texts(str(rank).encode() for rank in range(1, k + 1))

    def encode(here: slice, rows: np.ndarray, scores: np.ndarray) -> memoryview:
        there = rows >= 0
        said = _score_texts(scores[there])
        asked = np.arange(here.start, here.stop)
        size = _size(words, rows[there]) + len(said.data) + _size(seeds, np.repeat(asked, there.sum(axis=1)))
        out = np.empty(size + (4 + len(str(k))) * int(there.sum()), dtype=np.uint8)
        return out.data[: weave_pairs(ranks, seeds, words, said, asked, rows, out)]

    return encode


def _same(answers: Answers) -> bool:
    return answers.seeds is answers.vocab


def _texts(words: Iterable[str] | Iterable[bytes]) -> Texts:
    """Raises DataError for a text that is not Unicode (a lone surrogate)."""
    import pyarrow as pa

    from embedrec.kernels.weaving import Texts

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

    from embedrec.kernels.weaving import Texts

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
