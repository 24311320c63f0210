"""Write lists to a file, a stream, or a folder of shards with a manifest; files and folders appear atomically."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from embedrec.data.parquet_io import to_arrow
from embedrec.data.result_lists import ListBlocks, ResultLists, map_in_order, slices
from embedrec.errors import ArtifactError, decoding
from embedrec.export.file_format import Layout, compress
from embedrec.export.text_formats import TextFormat, encoder, header
from embedrec.progress import Report, quiet
from embedrec.storage.atomic import atomic_file, atomic_folder, other_file, sha256

MANIFEST = "manifest.json"
_FORMAT = 1  # of the manifest
_ROWS = 1 << 20  # results in a row group of Parquet


def write_file(
    path: Path, lists: ResultLists, blocks: ListBlocks, layout: Layout, *, threads: int = 1, report: Report = quiet
) -> None:
    """Write all lists to a file, atomically."""
    with atomic_file(path, "wb") as out:
        write_stream(out, lists, blocks, layout, threads=threads, report=report)


def write_stream(
    out: IO[bytes], lists: ResultLists, blocks: ListBlocks, layout: Layout, *, threads: int = 1, report: Report = quiet
) -> None:
    """Write all lists to an open file.

    report  called as report("progress", done=, total=, unit="lists written")
    """
    _write_slice(out, lists, blocks, layout, slice(0, blocks.q), threads, report)


def write_shards(
    folder: Path,
    blocks: ListBlocks,
    layout: Layout,
    about: Mapping[str, Any],
    write: Callable[[Path, Mapping[str, slice]], Mapping[str, Mapping[str, Any]]],
) -> None:
    """Write all lists atomically to a folder of `layout.shards` files with a manifest, replacing an earlier export.

    The concatenated files equal the single file (uncompressed; for Parquet: the same rows), except that each has the
    header, if there is one. The manifest holds what `write` returns of each file, and `about`: the source of the lists.

    write  a folder, and file name → slice of the lists: writes the files there, see `write_shard`, and returns what the
           manifest holds of each

    Raises ArtifactError if the folder contains other files.
    """
    check_folder(folder)
    parts = layout.shard_slices(blocks.q)
    with atomic_folder(folder) as draft:
        files = write(draft, {layout.shard_name(number): part for number, part in enumerate(parts)})
        totals = {key: sum(file[key] for file in files.values()) for key in ("lists", "results", "bytes")}
        manifest = {"format": _FORMAT, "kind": "export", "layout": layout.kind, "packing": layout.packing}
        manifest |= {"k": blocks.k, **totals, **about, "files": files}
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (draft / MANIFEST).write_text(text, encoding="utf-8", errors="surrogatepass")


def write_shard(
    path: Path,
    lists: ResultLists,
    blocks: ListBlocks,
    layout: Layout,
    part: slice,
    *,
    threads: int = 1,
    report: Report = quiet,
) -> dict[str, Any]:
    """Write a slice of the lists to a file; its lists, results, bytes and SHA-256."""
    with path.open("wb") as out:
        _write_slice(out, lists, blocks, layout, part, threads, report)
    results = sum(int((blocks.block(at)[0] >= 0).sum()) for at in slices(part.start, part.stop))
    return {
        "lists": part.stop - part.start,
        "results": results,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
    }


def check_folder(folder: Path) -> None:
    """Raises ArtifactError unless `folder` is missing, empty, or an earlier export."""
    try:
        other = other_file(folder, lambda _: {MANIFEST, *_manifest_files(folder)})
    except NotADirectoryError:
        raise ArtifactError(f"{folder} is a file, but shards need a folder; move it or name another") from None
    if other is not None:
        raise ArtifactError(f"{folder} contains other files and no export; move it or name another")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of shards. Raises ArtifactError without a valid one."""
    error = ArtifactError(
        f"{folder} contains no export (its {MANIFEST} is missing, damaged or of another version); export it again"
    )
    with decoding(lambda _: error):
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8", errors="surrogatepass"))
        if manifest["kind"] == "export" and manifest["format"] == _FORMAT and isinstance(manifest["files"], dict):
            return dict(manifest)
    raise error


def fingerprint(about: Mapping[str, Any]) -> str:
    """SHA-256 over JSON values."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _manifest_files(folder: Path) -> set[str]:
    try:
        return set(read_manifest(folder)["files"])
    except ArtifactError:
        return set()


def file_header(lists: ResultLists, layout: Layout) -> memoryview | bytes:
    """The header line of a file of text, compressed like its rows; empty if the layout has none."""
    if not layout.has_header:
        return b""
    return compress(header(lists, layout.kind, layout.names), layout.packing)  # type: ignore[arg-type]


def _write_slice(
    out: IO[bytes], lists: ResultLists, blocks: ListBlocks, layout: Layout, part: slice, threads: int, report: Report
) -> None:
    """Write a slice of the lists as a whole file: with its header, or as Parquet."""
    if layout.kind == "parquet":
        _write_parquet(out, lists, blocks, part, layout.names, report)
    else:
        out.write(file_header(lists, layout))
        write_rows(out, lists, blocks, layout, part, threads=threads, report=report)


def write_rows(
    out: IO[bytes],
    lists: ResultLists,
    blocks: ListBlocks,
    layout: Layout,
    part: slice,
    *,
    threads: int = 1,
    report: Report = quiet,
) -> None:
    """Write a slice of the lists as text, without a header; blocks are encoded in parallel."""
    kind: TextFormat = layout.kind  # type: ignore[assignment]
    encode = encoder(lists, kind, blocks.k, whitespace=layout.whitespace, prefix=layout.prefix, names=layout.names)

    def encoded(block: slice) -> memoryview | bytes:
        return compress(encode(block, *blocks.block(block)), layout.packing)

    parts = list(slices(part.start, part.stop))
    for block, data in zip(parts, map_in_order(encoded, parts, threads), strict=True):
        out.write(data)
        report("progress", done=block.stop, total=blocks.q, unit="lists written")


def _write_parquet(
    out: IO[bytes], lists: ResultLists, blocks: ListBlocks, whole: slice, names: bool, report: Report
) -> None:
    """One row per result, with the columns seed, rank (from 1), result, score, and names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    seed, _, result, *_ = columns = lists.column_names(names)
    labels = [to_arrow(vocab.names, large=True) if vocab.names is not None else None for _, vocab in lists.vocabs()]
    seeds, results = to_arrow(lists.seeds.ids, large=True), to_arrow(lists.vocab.ids, large=True)
    fields = {seed: seeds.type, "rank": pa.int32(), result: results.type, "score": pa.float32()}
    fields |= dict.fromkeys(columns[4:], pa.large_string())
    with pq.ParquetWriter(out, pa.schema(fields), compression="zstd") as writer:
        for part in slices(whole.start, whole.stop, max(1, _ROWS // max(1, blocks.k))):
            rows, scores = blocks.block(part)
            valid = rows >= 0
            at, rank = np.nonzero(valid)
            table = {
                seed: seeds.take(pa.array(at + part.start)),
                "rank": pa.array(rank + 1, pa.int32()),
                result: results.take(pa.array(rows[valid])),
                "score": pa.array(scores[valid]),
            }
            sides = zip(lists.vocabs(), labels, (at + part.start, rows[valid]), strict=True)
            for (column, _), label, label_rows in sides:
                if f"{column}_name" in fields and label is not None:
                    table[f"{column}_name"] = label.take(pa.array(label_rows))
            writer.write_table(pa.table(table))
            report("progress", done=part.stop, total=blocks.q, unit="lists written")
