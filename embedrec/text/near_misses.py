"""Close matches of a word, also among millions: character pairs select candidates, and difflib compares these."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MAX_COMPARED = 400  # words that difflib compares: it takes about 20 µs a word
_LONGEST = 200  # characters; longer texts have no close matches
_BLOCK = 1 << 14  # words processed at a time
_TABLE = 1 << 16  # buckets of the hashed character pairs


def close_matches(text: str, words: Iterable[str], *, n: int = 3, cutoff: float = 0.6) -> list[str]:
    """The n words most similar to `text`, best first, as `difflib.get_close_matches` ranks them.

    With more than 400 words, only those that share the most pairs of adjacent characters with it are compared.
    """
    if not text or len(text) > _LONGEST:
        return []
    # a ratio is at most 2·(the shorter length) / (both lengths)
    least, most = len(text) * cutoff / (2 - cutoff), len(text) * (2 - cutoff) / cutoff
    fitting = list(dict.fromkeys(word for word in words if least <= len(word) <= most))
    return difflib.get_close_matches(text, _likely(text, fitting), n=n, cutoff=cutoff)


def _likely(text: str, words: Sequence[str]) -> Sequence[str]:
    """The words that share the most pairs of adjacent characters with a text, relative to their length."""
    if len(words) <= MAX_COMPARED:
        return words
    import numpy as np

    width = max(map(len, words))
    known = np.zeros(_TABLE, dtype=bool)
    known[_pairs([text], width)] = True
    known[0] = False  # the padding
    shares = np.empty(len(words), dtype=np.float32)
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        shared = known[_pairs(block, width)].sum(axis=1)
        shares[start : start + len(block)] = shared / (np.fromiter(map(len, block), np.float32, len(block)) + len(text))
    best = np.sort(np.argpartition(-shares, MAX_COMPARED)[:MAX_COMPARED])
    return [words[at] for at in best.tolist()]


def _pairs(words: Sequence[str], width: int) -> np.ndarray:
    """Hashes (m, width + 1) of the pairs of adjacent characters, start and end included; 0 is padding."""
    import numpy as np

    codes = np.zeros((len(words), width + 2), dtype=np.uint32)
    codes[:, 1 : width + 1] = np.array(words, dtype=f"<U{width}").view(np.uint32).reshape(len(words), width)
    left, right = codes[:, :-1], codes[:, 1:]
    hashed = (left * np.uint32(2654435761) + right * np.uint32(40503)) >> np.uint32(16)
    return np.where((left | right) > 0, hashed, 0)
