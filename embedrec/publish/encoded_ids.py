"""Ids as UTF-8: millions of them in one array of bytes, since as many small objects take longer to handle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError


@dataclass(frozen=True, eq=False)
class EncodedIds:
    """n ids, one behind the other.

    data     their bytes
    offsets  (n + 1,) int64: id i is data[offsets[i]:offsets[i + 1]]
    """

    data: bytes
    offsets: np.ndarray

    @classmethod
    def of(cls, vocab: Vocab) -> EncodedIds:
        """The ids of a vocabulary. Raises DataError for a text that is not Unicode (a lone surrogate)."""
        ids = vocab.ids.tolist()
        try:
            joined = "\0".join(map(str, ids)).encode()  # one text is encoded several times faster than its parts
            ends = np.flatnonzero(np.frombuffer(joined, np.uint8) == 0)
            if len(ends) != len(ids) - 1:  # an id has a zero byte, or there are no ids
                return cls.join([str(i).encode() for i in ids])
        except UnicodeEncodeError as e:
            bad = next(i for i in map(str, ids) if any("\ud800" <= c <= "\udfff" for c in i))
            raise DataError(f"the text {bad!r} is not valid Unicode; repair it") from e
        gaps = np.arange(len(ids))
        return cls(joined.replace(b"\0", b""), np.concatenate([[0], ends, [len(joined)]]) - np.append(0, gaps))

    @classmethod
    def join(cls, ids: Sequence[bytes]) -> EncodedIds:
        """Ids that are encoded already."""
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        return cls(b"".join(ids), np.concatenate([[0], np.cumsum(lengths)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """The bytes (n,) of each id."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray | slice) -> list[bytes]:
        """The ids of rows (m,)."""
        starts, ends = self.offsets[:-1][rows].tolist(), self.offsets[1:][rows].tolist()
        return [self.data[start:end] for start, end in zip(starts, ends, strict=True)]

    def tolist(self) -> list[bytes]:
        """All ids."""
        return self.take(slice(None))

    def table(self) -> np.ndarray | None:
        """The ids as rows of bytes, (n, length) uint8, if all have one length."""
        lengths = self.lengths
        if not len(lengths) or (lengths != lengths[0]).any():
            return None
        return np.frombuffer(self.data, np.uint8).reshape(len(self), int(lengths[0]))
