"""What a generation is in Redis' own protocol, and the scripts that do in one step what must not come apart.

A client would pack millions of ids one by one; here every id is packed once, and the commands of a batch are one join.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from embedrec.data.topk import TopK
from embedrec.errors import SettingsError
from embedrec.publish.content import PublishContent, encoded, seven_digits

Format = Literal["list", "json"]
_BATCH = 2048  # keys written between two answers

# For readers, one step instead of two: EVAL script 0 PREFIX ITEM
READ_LIST = """\
local served = redis.call('GET', ARGV[1] .. ':served')
return served and redis.call('LRANGE', ARGV[1] .. ':' .. served .. ':' .. ARGV[2], 0, -1)"""
READ_JSON = """\
local served = redis.call('GET', ARGV[1] .. ':served')
return served and redis.call('GET', ARGV[1] .. ':' .. served .. ':' .. ARGV[2])"""

# KEYS: publisher, generations, served, retired; ARGV: token of the publisher, number, what is known of the generation
SWITCH = """\
local publisher = redis.call('GET', KEYS[1]) or ''
if string.sub(publisher, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
local old = redis.call('GET', KEYS[3])
local now = redis.call('TIME')
if old and old ~= ARGV[2] then redis.call('HSET', KEYS[4], old, string.format('%d.%06d', now[1], now[2])) end
redis.call('HDEL', KEYS[4], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('SET', KEYS[3], ARGV[2])
return 1"""
# KEYS: publisher; ARGV: what must stand there (a beginning), what will ('' for nothing)
HAND_OVER = """\
local publisher = redis.call('GET', KEYS[1]) or ''
if string.sub(publisher, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1"""


@dataclass(frozen=True)
class Batch:
    """Commands that write some keys.

    keys      their names
    commands  packed
    answers   what Redis says when all is well, one a key
    done      items so far, of this batch and those before
    """

    keys: list[bytes]
    commands: bytes
    answers: list[Any]
    done: int


def batches(publication: PublishContent, start: str, kind: Format) -> Iterator[Batch]:
    """The commands that write a generation whose keys begin with `start`.

    Raises SettingsError for vectors, DataError for ids that are not Unicode.
    """
    if publication.vectors is not None:
        raise SettingsError("redis takes neighbours only; leave the vectors out")
    ids = encoded(publication.vocab)
    words = np.array([b"$%d\r\n%s\r\n" % (len(i), i) for i in ids], dtype=object)  # (n,) ids as arguments of a command
    before = start.encode()
    for rows, found in publication.neighbour_blocks():
        for at in range(0, len(rows), _BATCH):
            here = slice(at, at + _BATCH)
            names = [before + ids[row] for row in rows[here].tolist()]
            part = TopK(found.rows[here], found.scores[here], found.vocab)
            done = int(rows[here][-1]) + 1
            yield _lists(names, part, words, done) if kind == "list" else _texts(names, part, done)


def _lists(names: list[bytes], found: TopK, words: np.ndarray, done: int) -> Batch:
    """A list an item; that of no neighbours is no key."""
    keys, lengths, sent = [], [], []
    for name, row in zip(names, found.rows, strict=True):
        others = words[row[row >= 0]].tolist()
        if others:
            keys.append(name)
            lengths.append(len(others))
            sent.append(b"*%d\r\n$5\r\nRPUSH\r\n$%d\r\n%s\r\n" % (len(others) + 2, len(name), name))
            sent += others
    return Batch(keys, b"".join(sent), lengths, done)


def _texts(names: list[bytes], found: TopK, done: int) -> Batch:
    """{"items": […], "scores": […]} an item."""
    import msgspec

    scores = seven_digits(found.scores)
    sent = []
    for name, others, score in zip(names, found.ids(), scores, strict=True):
        text = msgspec.json.encode({"items": others, "scores": score[: len(others)].tolist()})
        sent.append(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(name), name, len(text), text))
    return Batch(names, b"".join(sent), [b"OK"] * len(names), done)
