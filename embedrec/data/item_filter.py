"""Filters of the items that results may contain: by conditions on features, a list of ids, a list of excluded ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.find_items import parse_id
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError, reason

if TYPE_CHECKING:
    from embedrec.data.feature_conditions import Condition
    from embedrec.data.features import Features
    from embedrec.storage.remote import ReadPath


@dataclass(frozen=True)
class IdList:
    """A list of ids, one a line.

    name   the file, for messages
    lines  the ids as written
    """

    name: str
    lines: tuple[str, ...]

    @classmethod
    def read(cls, name: str, content: bytes) -> IdList:
        """Parse the lines of a file; empty lines are skipped. Raises DataError for bytes that are not UTF-8."""
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as e:
            raise DataError(f"{name} is not UTF-8 ({reason(e)}); give a text file with one id per line") from e
        lines = (line.removesuffix("\r") for line in text.split("\n"))
        return cls(name, tuple(line for line in lines if line.strip()))

    def rows(self, vocab: Vocab) -> np.ndarray:
        """Rows of the ids: (m,) int64, −1 for an unknown id."""
        return vocab.rows_of(parse_ids(vocab, self.lines))

    @property
    def digest(self) -> str:
        """The SHA-256 of the ids."""
        return hashlib.sha256("\n".join(self.lines).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class ItemFilter:
    """The items that results may contain; an empty filter allows all items.

    where       conditions on their features
    only        ids of allowed items, or None
    exclude     ids of excluded items, or None
    attributes  table of item features; None uses those of the training sessions
    """

    where: tuple[Condition, ...] = ()
    only: IdList | None = None
    exclude: IdList | None = None
    attributes: ReadPath | None = None

    def __bool__(self) -> bool:
        return bool(self.where) or self.only is not None or self.exclude is not None

    def mask(self, vocab: Vocab, features: Callable[[], Features]) -> np.ndarray | None:
        """The allowed items: a mask (n,) bool; None for an empty filter.

        features  loads the item features; raises SettingsError if there are none

        Raises SettingsError when no item is left, and as `Condition.matches` does.
        """
        if not self:
            return None
        mask = np.ones(len(vocab), dtype=bool)
        if self.where:
            from embedrec.data.feature_conditions import match_all

            mask &= match_all(self.where, features().align(vocab))
        for ids, keep in ((self.only, True), (self.exclude, False)):
            if ids is not None:
                rows = ids.rows(vocab)
                listed = np.zeros(len(vocab), dtype=bool)
                listed[rows[rows >= 0]] = True
                mask &= listed if keep else ~listed
        if not mask.any():
            raise SettingsError(f"the filter allows none of the {len(vocab)} items; relax its conditions")
        return mask

    def messages(self, vocab: Vocab, mask: np.ndarray) -> list[str]:
        """Messages about the filter: the number of allowed items, and of unknown ids in its lists."""
        messages = [f"{int(mask.sum()):,} of {len(vocab):,} items are allowed"]
        for ids in (self.only, self.exclude):
            unknown = 0 if ids is None else int((ids.rows(vocab) < 0).sum())
            if ids is not None and unknown:
                messages.append(f"{unknown:,} of the {len(ids.lines):,} ids in {ids.name} are not among the items")
        return messages

    def about(self) -> dict[str, Any]:
        """The filter as JSON values, without the table of attributes: it identifies the filter."""
        lists = {"only": self.only, "exclude": self.exclude}
        return {
            "where": [str(condition) for condition in self.where],
            **{name: None if ids is None else ids.digest for name, ids in lists.items()},
        }


def parse_ids(vocab: Vocab, texts: Sequence[str]) -> list[Any]:
    """The ids of texts, in the type of the vocabulary's ids, see `parse_id`."""
    return [parse_id(vocab, text.strip()) for text in texts] if vocab.integer else list(texts)
