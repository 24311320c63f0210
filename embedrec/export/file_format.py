"""What files an export is: format, packing and shards, from a name and options."""

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
_OTHERS = ("json", "npy", "safetensors", "bz2", "xz", "zip", "html", "toml")  # no text, whoever asks for it
_SEPARATED = ("tsv", "csv")  # columns with something between them, which may have a header
_NAMED = (*_SEPARATED, "jsonl", "parquet")  # formats that have a place for names
_WHOLE = ("parquet", "word2vec", "word2vec-binary")  # packed inside, or of one piece


@dataclass(frozen=True)
class Layout:
    """How lists are written.

    kind        one of FORMATS
    packing     "gz", "zst", or "" for none
    shards      number of files in a folder, or None for a single file
    whitespace  of ids in "text": "refuse", or percent-"encode"
    prefix      of keys in "redis"
    header      whether the names of columns stand above; None: in "csv" only
    names       whether the names of items stand beside their ids

    Raises SettingsError for what does not go together.
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
            raise SettingsError(f"no format is called {self.kind!r}{near or '; there are ' + ', '.join(FORMATS)}")
        if self.packing and self.kind in _WHOLE:
            raise SettingsError(f"{self.kind} is not packed from outside; leave .{self.packing} out")
        check_unicode(self.prefix, "the prefix of keys")
        if self.shards is not None and self.shards < 1:
            raise SettingsError(f"shards must be at least 1, but are {self.shards}")
        if self.shards is not None and not self.of_lists:
            raise SettingsError(f"{self.kind} is a single file of vectors; leave --shards out")
        if self.header and self.kind not in _SEPARATED:
            raise SettingsError(f"{self.kind} has no line of column names; leave --header out, or take csv or tsv")
        if self.names and self.kind not in _NAMED:
            raise SettingsError(
                f"{self.kind} has no place for names; leave --names out, or take one of {', '.join(_NAMED)}"
            )

    @property
    def headed(self) -> bool:
        """Whether a line of column names is written."""
        return self.kind == "csv" if self.header is None else self.header and self.kind in _SEPARATED

    @property
    def of_lists(self) -> bool:
        """Whether lists are written, not vectors."""
        return self.kind in LISTS

    @property
    def of_vectors(self) -> Format:
        """The format of vectors that are written instead of lists."""
        return "binary" if self.kind == "word2vec-binary" else "text"

    def shard_name(self, shard: int) -> str:
        """The name of a file in the folder of shards: "part-00001.tsv.gz"."""
        ending = _ENDING.get(self.kind, self.kind)
        return f"part-{shard:05d}.{ending}{'.' * bool(self.packing)}{self.packing}"

    def shard_slices(self, q: int) -> list[slice]:
        """Which of q lists each file holds: as many in each, in order."""
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
    """The layout that a file's name means, or a format such as "tsv" or "tsv.gz"; any other name is text.

    Raises SettingsError for an unknown format, and for names that mean one that is not written.
    """
    said, packing = split_suffix(name if given is None else given)
    suffix = Path(said).suffix.removeprefix(".").lower()
    if given is None and suffix in _OTHERS:
        known = " ".join(f".{one}" for one in SUFFIXES)
        raise SettingsError(f"{name}: exports are not .{suffix}; take one of {known}, or name a format with --format")
    kind = SUFFIXES.get(suffix, "text") if given is None else said
    return Layout(kind, packing, shards, whitespace, prefix, header, names)


Packing = Literal["", "gz", "zst"]


PACKINGS: tuple[str, ...] = get_args(Packing)


_LEVEL = 6  # of gzip


def packed(data: memoryview | bytes, packing: Packing) -> memoryview | bytes:
    """The bytes packed; equal bytes give equal bytes, at any time."""
    if not packing:
        return data
    if packing == "gz":
        return gzip.compress(data, _LEVEL, mtime=0)
    import pyarrow as pa

    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def split_suffix(name: str) -> tuple[str, Packing]:
    """A name without the suffix of its packing, and the packing: "x.tsv.gz" → ("x.tsv", "gz")."""
    for packing in PACKINGS[1:]:
        if name.endswith(f".{packing}"):
            return name.removesuffix(f".{packing}"), packing  # type: ignore[return-value]
    return name, ""
