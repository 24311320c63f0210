"""The layout of export files (format, compression, shards), from a file name and options; compression of bytes."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from embedrec.config import check_unicode
from embedrec.errors import SettingsError, did_you_mean
from embedrec.vectors.file_formats import Format, Whitespace

ListFormat = Literal["text", "tsv", "csv", "jsonl", "redis", "parquet"]
VectorFormat = Literal["word2vec", "word2vec-binary"]
LISTS: tuple[str, ...] = get_args(ListFormat)
FORMATS: tuple[str, ...] = (*LISTS, *get_args(VectorFormat))
SUFFIXES = {
    "txt": "text",
    "tsv": "tsv",
    "csv": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "redis": "redis",
    "parquet": "parquet",
    "vec": "word2vec",
    "bin": "word2vec-binary",
}
_ENDING = {"text": "txt", "word2vec": "vec", "word2vec-binary": "bin"}
_UNSUPPORTED = ("json", "npy", "safetensors", "bz2", "xz", "zip", "html", "toml")  # never written as text by accident
_SEPARATED = ("tsv", "csv")  # separated columns, which may have a header
_NAMED = (*_SEPARATED, "jsonl", "parquet")  # formats that can hold names
_UNPACKED = ("parquet", "word2vec", "word2vec-binary")  # compressed inside, or never
Packing = Literal["", "gz", "zst"]
PACKINGS: tuple[str, ...] = get_args(Packing)
_LEVEL = 6  # of gzip


@dataclass(frozen=True)
class Layout:
    """How lists are written.

    kind        one of FORMATS
    packing     compression: "gz", "zst", or "" for none
    shards      number of files in a folder, or None for a single file
    whitespace  of ids in "text": "refuse", or percent-"encode"
    prefix      of keys in "redis"
    header      whether the first line holds the column names; None: in "csv" only
    names       whether item names are written next to the ids

    Raises SettingsError for an unknown format and for options that exclude each other.
    """

    kind: str = "text"
    packing: Packing = ""
    shards: int | None = None
    whitespace: Whitespace = "refuse"
    prefix: str = "similar:"
    header: bool | None = None
    names: bool = False

    def __post_init__(self) -> None:
        if self.kind not in FORMATS:
            near = did_you_mean(self.kind, FORMATS)
            raise SettingsError(f"unknown format {self.kind!r}{near or '; the formats are ' + ', '.join(FORMATS)}")
        if self.packing and self.kind in _UNPACKED:
            raise SettingsError(f"{self.kind} files cannot be compressed; leave out .{self.packing}")
        check_unicode(self.prefix, "the prefix of keys")
        if self.shards is not None and self.shards < 1:
            raise SettingsError(f"shards must be at least 1; it is {self.shards}")
        if self.shards is not None and not self.holds_lists:
            raise SettingsError(f"{self.kind} is a single file of vectors; leave out --shards")
        if self.header and self.kind not in _SEPARATED:
            raise SettingsError(f"{self.kind} has no header line; leave out --header, or use csv or tsv")
        if self.names and self.kind not in _NAMED:
            raise SettingsError(
                f"{self.kind} cannot contain names; leave out --names, or use one of {', '.join(_NAMED)}"
            )

    @property
    def has_header(self) -> bool:
        """Whether a header line is written."""
        return self.kind == "csv" if self.header is None else self.header and self.kind in _SEPARATED

    @property
    def holds_lists(self) -> bool:
        """Whether the files hold lists, not vectors."""
        return self.kind in LISTS

    @property
    def vector_format(self) -> Format:
        """The format of the vectors, for layouts without lists."""
        return "binary" if self.kind == "word2vec-binary" else "text"

    def shard_name(self, shard: int) -> str:
        """The file name of a shard: "part-00001.tsv.gz"."""
        ending = _ENDING.get(self.kind, self.kind)
        return f"part-{shard:05d}.{ending}{'.' * bool(self.packing)}{self.packing}"

    def shard_slices(self, q: int) -> list[slice]:
        """The slice of q lists in each file: equal sizes, in order."""
        count = self.shards or 1
        return [slice(shard * q // count, (shard + 1) * q // count) for shard in range(count)]


def layout_of(
    name: str,
    given: str | None = None,
    *,
    shards: int | None = None,
    whitespace: Whitespace = "refuse",
    prefix: str = "similar:",
    header: bool | None = None,
    names: bool = False,
) -> Layout:
    """The layout by the suffix of a file name, or by a given format such as "tsv" or "tsv.gz"; other names are text.

    Raises SettingsError for an unknown format, and for a suffix of a format that is not supported.
    """
    stem, packing = split_suffix(name if given is None else given)
    suffix = Path(stem).suffix.removeprefix(".").lower()
    if given is None and suffix in _UNSUPPORTED:
        known = " ".join(f".{one}" for one in SUFFIXES)
        raise SettingsError(f"{name}: .{suffix} is no export format; use one of {known}, or set --format")
    kind = SUFFIXES.get(suffix, "text") if given is None else stem
    return Layout(kind, packing, shards, whitespace, prefix, header, names)


def compress(data: memoryview | bytes, packing: Packing) -> memoryview | bytes:
    """Compress bytes; deterministic, without a time stamp."""
    if not packing:
        return data
    if packing == "gz":
        return gzip.compress(data, _LEVEL, mtime=0)
    import pyarrow as pa

    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def split_suffix(name: str) -> tuple[str, Packing]:
    """A name without the suffix of its compression, and the compression: "x.tsv.gz" → ("x.tsv", "gz")."""
    for packing in PACKINGS[1:]:
        if name.endswith(f".{packing}"):
            return name.removesuffix(f".{packing}"), packing  # type: ignore[return-value]
    return name, ""
