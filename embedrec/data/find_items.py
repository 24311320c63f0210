"""Which item a person means: by id, by id without its URI prefix, or by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from unicodedata import normalize

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import UnknownItemError

_NEAR = 5  # near misses shown
_NUMBER = re.compile(r"-?[0-9]{1,19}")


def find_items(
    vocab: Vocab, texts: Sequence[str], known: Callable[[np.ndarray], Sequence[str]] | None = None
) -> np.ndarray:
    """Rows (m,) int64 of the items that the texts mean.

    known  rows → what else is known of each, as texts: what tells items of one name apart

    A text is, in this order: an id; an id without its prefix (`x` for `spotify:artist:x`, and the other way round); a
    name; an id or a name in another form of Unicode (ö in one character or in two); a name in other capitals. Raises
    UnknownItemError when several items fit or none does, naming the nearest.
    """
    if isinstance(texts, str):
        raise UnknownItemError(
            f"items must be a list, but are the text {texts[:40]!r}; write [{texts[:40]!r}] for one item"
        )
    return np.array([_find(vocab, text, known) for text in texts], dtype=np.int64)


def id_like(vocab: Vocab, text: str) -> int | str:
    """An id from a text, of the type that a vocabulary has; what is no whole number stays a text, and is unknown."""
    return int(text) if vocab.integer and _NUMBER.fullmatch(text) else text


def _find(vocab: Vocab, text: str, known: Callable[[np.ndarray], Sequence[str]] | None) -> int:
    row = int(vocab.rows_of([id_like(vocab, text)])[0])
    if row >= 0:
        return row
    ids = [] if vocab.integer else vocab.ids.tolist()
    bare = text.rsplit(":", 1)[-1]
    names = [] if vocab.names is None else vocab.names.tolist()
    composed, folded = normalize("NFC", text), _folded(text, text)
    for fits in (
        [r for r, i in enumerate(ids) if i.endswith(bare) and i.rsplit(":", 1)[-1] == bare and _same_kind(i, text)],
        [r for r, name in enumerate(names) if name == text],
        [] if text.isascii() else [r for r, i in enumerate(ids) if normalize("NFC", i) == composed],
        [] if text.isascii() else [r for r, name in enumerate(names) if normalize("NFC", name) == composed],
        [r for r, name in enumerate(names) if _folded(name, text) == folded],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            if vocab.counts is not None:
                fits.sort(key=lambda r: -vocab.counts[r])  # type: ignore[index]
            first = fits[:_NEAR]
            labels = [""] * len(first) if known is None else known(np.array(first, dtype=np.int64))
            shown = ", ".join(map(partial(_label, vocab), first, labels)) + (" …" if len(fits) > _NEAR else "")
            raise UnknownItemError(f"{text!r} may mean {len(fits)} items ({shown}); give the id")
    near = _nearest(vocab, text)
    hint = f"; did you mean {' or '.join(_label(vocab, r) for r in near)}?" if near else "; give an id or a name"
    raise UnknownItemError(f"no item {text!r} among the {len(vocab)} of the vocabulary{hint}")


def _folded(name: str, text: str) -> str:
    """A name without what capitals and forms of Unicode differ in; a text in ASCII has no other form."""
    return name.casefold() if text.isascii() else normalize("NFC", name.casefold())


def _same_kind(item: str, text: str) -> bool:
    """Whether one is the other without its prefix (`spotify:track:x` is not `spotify:artist:x`)."""
    return f":{item}".endswith(f":{text}") or f":{text}".endswith(f":{item}")


def _nearest(vocab: Vocab, text: str) -> list[int]:
    """Rows of the most similar names and ids: those that contain the text first, the most mentioned before others."""
    folded = text.casefold()
    names = [str(n).casefold() for n in (vocab.ids if vocab.names is None else vocab.names).tolist()]
    holding = [r for r, name in enumerate(names) if folded in name]
    if vocab.counts is not None:
        holding.sort(key=lambda r: -vocab.counts[r])  # type: ignore[index]
    if holding:
        return holding[:3]
    from embedrec.text.near_misses import close_matches

    close = close_matches(folded, (n for n in names if abs(len(n) - len(folded)) <= 3), cutoff=0.7)
    if close or vocab.integer:
        return [names.index(c) for c in close]
    bare = text.rsplit(":", 1)[-1]
    ids = [i.rsplit(":", 1)[-1] for i in vocab.ids.tolist()]
    alike = [i for i in ids if abs(len(i) - len(bare)) <= 1 and (i[:4] == bare[:4] or i[-4:] == bare[-4:])]
    return [ids.index(c) for c in close_matches(bare, alike, cutoff=0.8)]


def _label(vocab: Vocab, row: int, labels: str = "") -> str:
    known = "; ".join(filter(None, (vocab.name(row), labels)))
    return f"{vocab.ids[row]} ({known})" if known else f"{vocab.ids[row]}"
