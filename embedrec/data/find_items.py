"""Find items by id, by id without its URI prefix, or by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from unicodedata import normalize

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import UnknownItemError

_SHOWN = 5  # ambiguous items that a message lists
_NUMBER = re.compile(r"-?[0-9]{1,19}")


def find_items(
    vocab: Vocab, texts: Sequence[str], describe: Callable[[np.ndarray], Sequence[str]] | None = None
) -> np.ndarray:
    """Rows (m,) int64 of items given as ids or names.

    describe  rows → a description of each, which distinguishes items of the same name in messages

    A text is matched, in this order, with: ids; ids without their prefix (`x` for `spotify:artist:x`, and vice versa);
    names; ids and names in another Unicode normal form (ö as one character or two); names ignoring case. Raises
    UnknownItemError when several items match, and when none does, with the closest ones.
    """
    if isinstance(texts, str):
        raise UnknownItemError(
            f"items must be a list, but are the string {texts[:40]!r}; write [{texts[:40]!r}] for one item"
        )
    return np.array([_find(vocab, text, describe) for text in texts], dtype=np.int64)


def parse_id(vocab: Vocab, text: str) -> int | str:
    """The id of a text, in the type of the vocabulary's ids; a text that is not a whole number stays a string."""
    return int(text) if vocab.integer and _NUMBER.fullmatch(text) else text


def _find(vocab: Vocab, text: str, describe: Callable[[np.ndarray], Sequence[str]] | None) -> int:
    row = int(vocab.rows_of([parse_id(vocab, text)])[0])
    if row >= 0:
        return row
    ids = [] if vocab.integer else vocab.ids.tolist()
    bare = text.rsplit(":", 1)[-1]
    names = [] if vocab.names is None else vocab.names.tolist()
    composed, folded = normalize("NFC", text), _fold(text, text)
    for matches in (
        [r for r, i in enumerate(ids) if i.endswith(bare) and i.rsplit(":", 1)[-1] == bare and _same_kind(i, text)],
        [r for r, name in enumerate(names) if name == text],
        [] if text.isascii() else [r for r, i in enumerate(ids) if normalize("NFC", i) == composed],
        [] if text.isascii() else [r for r, name in enumerate(names) if normalize("NFC", name) == composed],
        [r for r, name in enumerate(names) if _fold(name, text) == folded],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            if vocab.counts is not None:
                matches.sort(key=lambda r: -vocab.counts[r])  # type: ignore[index]
            first = matches[:_SHOWN]
            details = [""] * len(first) if describe is None else describe(np.array(first, dtype=np.int64))
            shown = ", ".join(map(partial(_label, vocab), first, details)) + (" …" if len(matches) > _SHOWN else "")
            raise UnknownItemError(
                f"{text!r} may mean {len(matches)} items ({shown}); give the id", vocab.ids[first].tolist()
            )
    near = _closest(vocab, text)
    hint = f"; did you mean {' or '.join(_label(vocab, r) for r in near)}?" if near else "; give an id or a name"
    raise UnknownItemError(f"no item {text!r} among the {len(vocab)} of the vocabulary{hint}", vocab.ids[near].tolist())


def _fold(name: str, text: str) -> str:
    """A name normalised for comparison with `text`, ignoring case; only non-ASCII texts need Unicode normalisation."""
    return name.casefold() if text.isascii() else normalize("NFC", name.casefold())


def _same_kind(item: str, text: str) -> bool:
    """Whether one is the other without its prefix (`spotify:track:x` is not `spotify:artist:x`)."""
    return f":{item}".endswith(f":{text}") or f":{text}".endswith(f":{item}")


def _closest(vocab: Vocab, text: str) -> list[int]:
    """Rows of the most similar names and ids: first those that contain the text, in order of frequency."""
    folded = text.casefold()
    names = [str(n).casefold() for n in (vocab.ids if vocab.names is None else vocab.names).tolist()]
    containing = [r for r, name in enumerate(names) if folded in name]
    if vocab.counts is not None:
        containing.sort(key=lambda r: -vocab.counts[r])  # type: ignore[index]
    if containing:
        return containing[:3]
    from embedrec.text.near_misses import close_matches

    close = close_matches(folded, (n for n in names if abs(len(n) - len(folded)) <= 3), cutoff=0.7)
    if close or vocab.integer:
        return [names.index(c) for c in close]
    bare = text.rsplit(":", 1)[-1]
    ids = [i.rsplit(":", 1)[-1] for i in vocab.ids.tolist()]
    candidates = [i for i in ids if abs(len(i) - len(bare)) <= 1 and (i[:4] == bare[:4] or i[-4:] == bare[-4:])]
    return [ids.index(c) for c in close_matches(bare, candidates, cutoff=0.8)]


def _label(vocab: Vocab, row: int, details: str = "") -> str:
    description = "; ".join(filter(None, (vocab.name(row), details)))
    return f"{vocab.ids[row]} ({description})" if description else f"{vocab.ids[row]}"
