"""Metadata that a file of vectors has no field for: X.meta.json beside X.

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

IdEncoding = Literal["as they are", "percent-encoded"]
_SPACE = re.compile(r"\s")


@dataclass(frozen=True)
class Meta:
    """The metadata of a file.

    metric        of its vectors
    vectors, dim  n and d, which detect that the file was replaced
    ids           their encoding
    """

    metric: Metric
    vectors: int
    dim: int
    ids: IdEncoding = "as they are"


def meta_file(path: Path) -> Path:
    """X.meta.json of X."""
    return path.with_name(f"{path.name}.meta.json")


def save_meta(meta: Meta, path: Path) -> None:
    """Write the metadata of the file `path`, unless they are the defaults and no metadata exist."""
    file = meta_file(path)
    if meta.metric != "cosine" or meta.ids != "as they are" or file.is_file():
        with atomic_file(file) as f:
            f.write(json.dumps(asdict(meta)) + "\n")


def load_meta(path: Path) -> Meta | None:
    """The metadata of the file `path`; None without any. Raises DataError for invalid metadata."""
    file = meta_file(path)
    if not file.is_file():
        return None
    with decoding(lambda why: DataError(f"{file} is not the metadata of {path.name} ({why}); repair or remove it")):
        return msgspec.json.decode(file.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=Meta)


def check_meta(meta: Meta, path: Path, vectors: int, dim: int) -> None:
    """Raises DataError for the metadata of another file."""
    if (meta.vectors, meta.dim) != (vectors, dim):
        raise DataError(
            f"{meta_file(path)} describes {meta.vectors} × {meta.dim} vectors, but {path} contains {vectors} × {dim}; "
            "remove it, and set the metric with --metric"
        )


def percent_encode(words: Sequence[str]) -> list[str]:
    """Words with white space and '%' percent-encoded."""
    return [_SPACE.sub(lambda match: quote(match[0]), word.replace("%", "%25")) for word in words]


def percent_decode(words: Sequence[Any]) -> list[Any]:
    """The inverse of `percent_encode`; values other than strings are unchanged."""
    return [unquote(word) if isinstance(word, str) else word for word in words]
