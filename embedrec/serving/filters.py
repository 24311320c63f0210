"""Filters of requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from embedrec.data.feature_conditions import Condition
from embedrec.data.item_filter import IdList, ItemFilter
from embedrec.data.vocab import Vocab
from embedrec.serving.schemas import Filtered, SimilarQuery
from embedrec.serving.sources import Source

if TYPE_CHECKING:
    from embedrec.data.features import Features

_MASKS = 32  # filters of a source whose items are remembered


@dataclass(frozen=True)
class RememberedFilter(ItemFilter):
    """A filter whose items are found once for a source; None finds them every time."""

    source: Source | None = None

    def mask(self, vocab: Vocab, features: Callable[[], Features]) -> np.ndarray | None:
        """See `ItemFilter.mask`."""
        if self.source is None or not self:
            return super().mask(vocab, features)
        key = ("mask", msgspec.json.encode(self.about()))
        mask: np.ndarray = self.source.remembered(key, partial(super().mask, vocab, features), _MASKS)
        return mask


def is_filtered(request: SimilarQuery | Filtered) -> bool:
    """Whether results are filtered or explained, which no batch does."""
    return bool(request.where or request.explain) or request.only is not None or request.exclude is not None


def item_filter(source: Source, request: SimilarQuery | Filtered) -> ItemFilter | None:
    """The filter of a request; None if it has none. Raises SettingsError for a condition that is none."""
    only, exclude = (
        None if ids is None else IdList(name, tuple(map(str, ids)))
        for name, ids in (("only", request.only), ("exclude", request.exclude))
    )
    return RememberedFilter(tuple(map(Condition.of, request.where)), only, exclude, None, source) or None
