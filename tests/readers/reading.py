"""Shared helpers of the tests of readers."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedrec.data import Events, Features
from embedrec.errors import DataError
from embedrec.tabular.read_settings import ReadSettings

# suffixes of archives and compressed files
PACKED = "also in .gz, .bz2, .xz, .zst"
ARCHIVES = f".zip, .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst, .tgz, .tbz2, .tbz, .txz, .tzst, {PACKED}"
SKIP = "; use --on-bad-row skip to leave such rows out"


def packed(content: bytes, suffix: str) -> bytes:
    """Bytes compressed as in a file of that suffix."""
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": _zstd}
    return pack[suffix](content) if suffix in pack else content


def _zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content))


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files to a folder; its path."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def rows(events: Events, *columns: str) -> list[tuple[Any, ...]]:
    """Events as rows of ids and values: session and item, then these columns."""
    coded = {"session": "sessions", "item": "items", "user": "users", "kind": "kinds"}
    columns_of_values = []
    for name in ("session", "item", *columns):
        values = getattr(events, name)
        columns_of_values.append((getattr(events, coded[name]).ids[values] if name in coded else values).tolist())
    return list(zip(*columns_of_values, strict=True))


def feature_values(features: Features | None) -> dict[Any, dict[str, Any]]:
    """The values of features: id → name → number, text or list, without missing values."""
    assert features is not None
    out: dict[Any, dict[str, Any]] = {}
    for row, i in enumerate(features.vocab.ids.tolist()):
        row_values: dict[str, Any] = {name: c[row].item() for name, c in features.numeric.items() if c[row] == c[row]}
        row_values |= {n: c.names[c.codes[row]] for n, c in features.categorical.items() if c.codes[row] >= 0}
        row_values |= {n: [c.names[code] for code in c[row]] for n, c in features.lists.items() if len(c[row])}
        out[i] = row_values
    return out


def refusal(reader: Any, paths: Sequence[Path]) -> str:
    """The error message of a reader for these files."""
    try:
        reader.read(paths, ReadSettings())
    except DataError as e:
        return str(e)
    raise AssertionError("nothing was refused")
