"""The commands of a generation in the Redis protocol, and the scripts for atomic steps.

A client would pack millions of ids one by one; here each id is packed once, and a batch of commands is one join.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from embedrec.data.topk import TopK
from embedrec.errors import SettingsError
from embedrec.publish.content import PublishContent, round_to_seven_digits
from embedrec.publish.encoded_ids import EncodedIds

Format = Literal["list", "json"]
_BATCH = 2048  # keys written between two responses

# For readers, one request instead of two: EVAL script 0 PREFIX ITEM
READ_LIST = """\
local served = redis.call('GET', ARGV[1] .. ':served')
return served and redis.call('LRANGE', ARGV[1] .. ':' .. served .. ':' .. ARGV[2], 0, -1)"""
READ_JSON = """\
local served = redis.call('GET', ARGV[1] .. ':served')
return served and redis.call('GET', ARGV[1] .. ':' .. served .. ':' .. ARGV[2])"""

# Exchange the keys of deltas with those in place, and serve the store. KEYS: publisher, generations, served, retired,
# placed; ARGV: token of the publisher, number, JSON state of the generation, its store, 1 to serve it, the prefix, and
# the numbers of the deltas in order. Commands that need memory, and a RENAME that is not allowed, fail before anything
# is changed; after them a RENAME fails only if there is no such key. A second call changes nothing: the response to the
# first one may have been lost.
SWITCH = """\
local publisher = redis.call('GET', KEYS[1]) or ''
if string.sub(publisher, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
local number, store, prefix = ARGV[2], ARGV[4], ARGV[6]
local before = redis.call('GET', KEYS[3])
local old = before and (redis.call('HGET', KEYS[5], before) or before)
local placed = redis.call('HGET', KEYS[5], store) or store
local now = redis.call('TIME')
local spare = prefix .. ':exchange'
redis.call('SET', spare, '')
redis.call('RENAME', spare, spare)
redis.call('DEL', spare)
redis.call('HSET', KEYS[2], number, ARGV[3])
if store == number then redis.call('HDEL', KEYS[5], store) else redis.call('HSET', KEYS[5], store, number) end
if ARGV[5] == '1' then
  if old and old ~= number then redis.call('HSET', KEYS[4], old, string.format('%d.%06d', now[1], now[2])) end
  redis.call('HDEL', KEYS[4], number)
  redis.call('SET', KEYS[3], store)
end
if placed == number then return 1 end
local place = prefix .. ':' .. store .. ':'
for i = 7, #ARGV do
  local beside = prefix .. ':' .. ARGV[i] .. ':'
  for _, item in ipairs(redis.call('LRANGE', prefix .. ':changes:' .. ARGV[i], 0, -1)) do
    local served, aside = place .. item, beside .. item
    local moved = redis.pcall('RENAME', served, spare)['ok']
    redis.pcall('RENAME', aside, served)
    if moved then redis.call('RENAME', spare, aside) end
  end
end
return 1"""
# Remove keys of a delta. KEYS: its list of changes; ARGV: start of its keys, most items. Returns the items removed.
REMOVE = """\
local items = redis.call('LRANGE', KEYS[1], 0, ARGV[2] - 1)
for _, item in ipairs(items) do redis.call('UNLINK', ARGV[1] .. item) end
redis.call('LTRIM', KEYS[1], #items, -1)
return #items"""
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
    """

    keys: list[bytes]
    commands: bytes
    responses: list[Any]


@dataclass(frozen=True, eq=False)
class Packing:
    """Ids that are packed once for all commands of a generation.

    seeds      the ids of the seeds
    others     the ids of the results
    results    the same, as arguments of commands: (n, width) uint8 if all have one length, else (n,) bytes
    kind       type of the values
    """

    seeds: EncodedIds
    others: EncodedIds
    results: np.ndarray
    kind: Format

    @classmethod
    def of(cls, content: PublishContent, kind: Format) -> Packing:
        """Raises SettingsError for vectors, DataError for ids that are not Unicode."""
        if content.vectors is not None:
            raise SettingsError("redis supports neighbours only; publish without vectors")
        seeds = EncodedIds.of(content.vocab)
        others = seeds if content.results is content.vocab else EncodedIds.of(content.results)
        table = others.table()
        return cls(seeds, others, pack_arguments(others.tolist()) if table is None else _pack_table(table), kind)

    def batch(self, start: bytes, rows: np.ndarray, lists: TopK) -> Batch:
        """The commands that write the keys of seeds (b,) with their lists (b, k)."""
        names = [start + seed for seed in self.seeds.take(rows)]
        return _list_commands(names, lists, self.results) if self.kind == "list" else _json_commands(names, lists)


def batches(content: PublishContent, start: str, kind: Format) -> Iterator[Batch]:
    """The commands that write a generation whose keys begin with `start`; see `Packing.of`."""
    packing = Packing.of(content, kind)
    for rows, lists in content.list_blocks():
        for part in parts(len(rows)):
            top = TopK(lists.rows[part], lists.scores[part], lists.vocab)
            yield packing.batch(start.encode(), rows[part], top)


def parts(count: int) -> Iterator[slice]:
    """Slices of the keys of a block, one for each batch."""
    return (slice(at, min(at + _BATCH, count)) for at in range(0, count, _BATCH))


def pack_arguments(values: Sequence[bytes]) -> np.ndarray:
    """Arguments of commands, (n,) bytes; those of one length are packed by one join."""
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    result = np.empty(len(values), dtype=object)
    for size in np.unique(sizes).tolist():
        places = np.flatnonzero(sizes == size)
        head = b"$%d\r\n" % size
        data = head + (b"\r\n" + head).join([values[i] for i in places.tolist()]) + b"\r\n"
        width = len(head) + size + 2
        pieces = np.empty(len(places), dtype=object)
        pieces[:] = [data[at : at + width] for at in range(0, len(data), width)]
        result[places] = pieces
    return result


def _pack_table(values: np.ndarray) -> np.ndarray:
    """`pack_arguments` of values of one length (n, size) uint8, as rows of bytes: (n, width) uint8."""
    n, size = values.shape
    head = b"$%d\r\n" % size
    table = np.empty((n, len(head) + size + 2), dtype=np.uint8)
    table[:, : len(head)] = np.frombuffer(head, np.uint8)
    table[:, len(head) : -2] = values
    table[:, -2:] = np.frombuffer(b"\r\n", np.uint8)
    return table


def exists_command(start: bytes, seeds: Sequence[bytes]) -> bytes:
    """EXISTS of the keys of seeds, which begin with `start`; its response is the number of those that exist."""
    heads = {size: b"$%d\r\n%s" % (len(start) + size, start) for size in set(map(len, seeds))}
    if len(heads) == 1:  # ids of one length are common: one join
        (head,) = heads.values()
        names = head + (b"\r\n" + head).join(seeds)
    else:
        names = b"\r\n".join([heads[len(seed)] + seed for seed in seeds])
    return b"*%d\r\n$6\r\nEXISTS\r\n%s\r\n" % (len(seeds) + 1, names)


def _list_commands(names: list[bytes], neighbours: TopK, arguments: np.ndarray) -> Batch:
    """One list per item; an item without neighbours has no key."""
    valid = neighbours.rows >= 0
    chosen, lengths = arguments[neighbours.rows[valid]], valid.sum(axis=1).tolist()
    data: Any = chosen.tobytes() if chosen.ndim == 2 else chosen.tolist()
    width = chosen.shape[1] if chosen.ndim == 2 else 1  # of an argument in `data`
    keys, commands, start = [], [], 0
    for name, length in zip(names, lengths, strict=True):
        if length:
            end = start + length * width
            keys.append(name)
            commands.append(b"*%d\r\n$5\r\nRPUSH\r\n$%d\r\n%s\r\n" % (length + 2, len(name), name))
            commands += [data[start:end]] if chosen.ndim == 2 else data[start:end]
            start = end
    return Batch(keys, b"".join(commands), [length for length in lengths if length])


def _json_commands(names: list[bytes], neighbours: TopK) -> Batch:
    """One {"items": […], "scores": […]} per item."""
    import msgspec

    scores = round_to_seven_digits(neighbours.scores)
    commands = []
    for name, others, score in zip(names, neighbours.ids(), scores, strict=True):
        text = msgspec.json.encode({"items": others, "scores": score[: len(others)].tolist()})
        commands.append(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(name), name, len(text), text))
    return Batch(names, b"".join(commands), [b"OK"] * len(names))
