"""The commands of a generation in the Redis protocol, and the scripts for atomic steps.

A client would pack millions of ids one by one; here each id is packed once, and a batch of commands is one join.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from embedrec.data.topk import TopK
from embedrec.errors import SettingsError
from embedrec.publish.content import PublishContent, encode_ids, round_to_seven_digits

Format = Literal["list", "json"]
_BATCH = 2048  # keys written between two responses

# For readers, one request instead of two: EVAL script 0 PREFIX ITEM
READ_LIST = """\
local served = redis.call('GET', ARGV[1] .. ':served')
return served and redis.call('LRANGE', ARGV[1] .. ':' .. served .. ':' .. ARGV[2], 0, -1)"""
READ_JSON = """\
local served = redis.call('GET', ARGV[1] .. ':served')
return served and redis.call('GET', ARGV[1] .. ':' .. served .. ':' .. ARGV[2])"""

# KEYS: publisher, generations, served, retired; ARGV: token of the publisher, number, JSON state of the generation
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
# KEYS: publisher; ARGV: the required start of the value, the new value ('' to delete)
HAND_OVER = """\
local publisher = redis.call('GET', KEYS[1]) or ''
if string.sub(publisher, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1"""


@dataclass(frozen=True)
class Batch:
    """Commands that write a batch of keys.

    keys       names of the keys
    commands   packed
    responses  of Redis on success, one per key
    done       items so far, including this batch
    """

    keys: list[bytes]
    commands: bytes
    responses: list[Any]
    done: int


def batches(content: PublishContent, start: str, kind: Format) -> Iterator[Batch]:
    """The commands that write a generation whose keys begin with `start`.

    Raises SettingsError for vectors, DataError for ids that are not Unicode.
    """
    if content.vectors is not None:
        raise SettingsError("redis supports neighbours only; publish without vectors")
    ids = encode_ids(content.vocab)
    arguments = np.array([b"$%d\r\n%s\r\n" % (len(i), i) for i in ids], dtype=object)  # (n,) packed ids
    prefix = start.encode()
    for rows, neighbours in content.neighbour_blocks():
        for at in range(0, len(rows), _BATCH):
            part = slice(at, at + _BATCH)
            names = [prefix + ids[row] for row in rows[part].tolist()]
            top = TopK(neighbours.rows[part], neighbours.scores[part], neighbours.vocab)
            done = int(rows[part][-1]) + 1
            yield _list_commands(names, top, arguments, done) if kind == "list" else _json_commands(names, top, done)


def _list_commands(names: list[bytes], neighbours: TopK, arguments: np.ndarray, done: int) -> Batch:
    """One list per item; an item without neighbours has no key."""
    keys, lengths, commands = [], [], []
    for name, row in zip(names, neighbours.rows, strict=True):
        others = arguments[row[row >= 0]].tolist()
        if others:
            keys.append(name)
            lengths.append(len(others))
            commands.append(b"*%d\r\n$5\r\nRPUSH\r\n$%d\r\n%s\r\n" % (len(others) + 2, len(name), name))
            commands += others
    return Batch(keys, b"".join(commands), lengths, done)


def _json_commands(names: list[bytes], neighbours: TopK, done: int) -> Batch:
    """One {"items": […], "scores": […]} per item."""
    import msgspec

    scores = round_to_seven_digits(neighbours.scores)
    commands = []
    for name, others, score in zip(names, neighbours.ids(), scores, strict=True):
        text = msgspec.json.encode({"items": others, "scores": score[: len(others)].tolist()})
        commands.append(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(name), name, len(text), text))
    return Batch(names, b"".join(commands), [b"OK"] * len(names), done)
