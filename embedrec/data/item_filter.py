"""Which items may be found: those of some features, those of a list of ids, and not those of another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.find_items import id_like
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError, reason

if TYPE_CHECKING:
    from embedrec.data.feature_conditions import Condition
    from embedrec.data.features import Features


@dataclass(frozen=True)
class IdList:
    """Ids that somebody wrote down, one a line.

    name   where they stand
    lines  the ids as they were written
    """

    name: str
    lines: tuple[str, ...]

    @classmethod
    def read(cls, name: str, content: bytes) -> IdList:
        """The lines of a file; empty ones are left out. Raises DataError for bytes that are not UTF-8."""
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as e:
            raise DataError(f"{name} is not UTF-8 ({reason(e)}); ids stand in it, one a line") from e
        lines = (line.removesuffix("\r") for line in text.split("\n"))
        return cls(name, tuple(line for line in lines if line.strip()))

    def rows(self, vocab: Vocab) -> np.ndarray:
        """Their rows: (m,) int64, −1 for an id that is not among the items."""
        return vocab.rows_of(ids_like(vocab, self.lines))

    @property
    def digest(self) -> str:
        """What tells them from other ids."""
        return hashlib.sha256("\n".join(self.lines).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class ItemFilter:
    """What items must be to be found; without any of it, all may be.

    where       conditions on their features
    only        they must be among these
    exclude     they must not be among these
    attributes  table of their features; None takes those of the training sessions
    """

    where: tuple[Condition, ...] = ()
    only: IdList | None = None
    exclude: IdList | None = None
    attributes: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.where) or self.only is not None or self.exclude is not None

    def among(self, vocab: Vocab, features: Callable[[], Features]) -> np.ndarray | None:
        """Which items may be found: (n,) bool; None where all may.

        features  makes their features; raises SettingsError where nothing is known

        Raises SettingsError when none is left, and as `Condition.met` does.
        """
        if not self:
            return None
        mask = np.ones(len(vocab), dtype=bool)
        if self.where:
            from embedrec.data.feature_conditions import all_met

            mask &= all_met(self.where, features().aligned(vocab))
        for ids, keeps in ((self.only, True), (self.exclude, False)):
            if ids is not None:
                rows = ids.rows(vocab)
                named = np.zeros(len(vocab), dtype=bool)
                named[rows[rows >= 0]] = True
                mask &= named if keeps else ~named
        if not mask.any():
            raise SettingsError(f"none of the {len(vocab)} items may be found; ask for less")
        return mask

    def messages(self, vocab: Vocab, mask: np.ndarray) -> list[str]:
        """What to say of it: how many items are left, and ids that mean none."""
        messages = [f"{int(mask.sum()):,} of {len(vocab):,} items may be found"]
        for ids in (self.only, self.exclude):
            unknown = 0 if ids is None else int((ids.rows(vocab) < 0).sum())
            if ids is not None and unknown:
                messages.append(f"{unknown:,} of the {len(ids.lines):,} ids in {ids.name} are not among the items")
        return messages

    def about(self) -> dict[str, Any]:
        """What tells it from others, as JSON values; the table of attributes is left out."""
        lists = {"only": self.only, "exclude": self.exclude}
        return {
            "where": [str(condition) for condition in self.where],
            **{name: None if ids is None else ids.digest for name, ids in lists.items()},
        }


def ids_like(vocab: Vocab, texts: Sequence[str]) -> list[Any]:
    """Ids from texts, of the type that a vocabulary has; a text that is no whole number stays one, and is unknown."""
    return [id_like(vocab, text.strip()) for text in texts] if vocab.integer else list(texts)
