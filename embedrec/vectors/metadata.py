"""What a file of vectors cannot hold itself: X.meta.json beside X.

{"metric": "cosine" | "dot" | "l2", "vectors": n, "dim": d, "ids": "as they are" | "percent-encoded"}
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

import msgspec

from embedrec.errors import DataError, decoding
from embedrec.storage.atomic import atomic_file
from embedrec.vectors.embeddings import Metric

Written = Literal["as they are", "percent-encoded"]
_SPACE = re.compile(r"\s")


@dataclass(frozen=True)
class Meta:
    """What is said of a file.

    metric        how its vectors are compared
    vectors, dim  n and d, by which it is known to be of that file
    ids           how they are written
    """

    metric: Metric
    vectors: int
    dim: int
    ids: Written = "as they are"


def meta_file(path: Path) -> Path:
    """X.meta.json of X."""
    return path.with_name(f"{path.name}.meta.json")


def save_meta(meta: Meta, path: Path) -> None:
    """Write what is said of the file `path`, if that is anything a reader would not take for granted, or something else
    is said of it."""
    beside = meta_file(path)
    if meta.metric != "cosine" or meta.ids != "as they are" or beside.is_file():
        with atomic_file(beside) as f:
            f.write(json.dumps(asdict(meta)) + "\n")


def load_meta(path: Path) -> Meta | None:
    """What is said of the file `path`; None where there is nothing. Raises DataError for what cannot be."""
    beside = meta_file(path)
    if not beside.is_file():
        return None
    with decoding(lambda why: DataError(f"{beside} does not say what {path.name} is ({why}); remove it, or repair it")):
        return msgspec.json.decode(beside.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=Meta)


def check_meta(meta: Meta, path: Path, vectors: int, dim: int) -> None:
    """Raises DataError where what is said is of another file."""
    if (meta.vectors, meta.dim) != (vectors, dim):
        raise DataError(
            f"{meta_file(path)} is of {meta.vectors} × {meta.dim} vectors, but {path} holds {vectors} × {dim}; "
            "remove it, and name the metric with --metric"
        )


def encoded(words: Sequence[str]) -> list[str]:
    """Words with white space and '%' percent-encoded."""
    return [_SPACE.sub(lambda match: quote(match[0]), word.replace("%", "%25")) for word in words]


def decoded(words: Sequence[Any]) -> list[Any]:
    """The same words as they were before."""
    return [unquote(word) if isinstance(word, str) else word for word in words]
