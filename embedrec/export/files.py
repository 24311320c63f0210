"""Kept lists to files: one file, a stream, or a folder of shards with a manifest; each appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from embedrec.data.parquet_io import to_arrow
from embedrec.errors import ArtifactError
from embedrec.export.file_format import Layout, packed
from embedrec.export.result_lists import ListBlocks, ResultLists, in_order, slices
from embedrec.export.text_formats import TextFormat, encoder, header
from embedrec.progress import Report, quiet
from embedrec.runtime.decoding import decoding
from embedrec.storage.atomic import atomic_file, atomic_folder, other_file, sha256

MANIFEST = "manifest.json"
_FORMAT = 1  # of the manifest
_ROWS = 1 << 20  # results in a row group of Parquet


def write_file(
    path: Path, answers: ResultLists, kept: ListBlocks, layout: Layout, *, threads: int = 1, report: Report = quiet
) -> None:
    """Write all lists to a file, atomically."""
    with atomic_file(path, "wb") as out:
        write_stream(out, answers, kept, layout, threads=threads, report=report)


def write_stream(
    out: IO[bytes], answers: ResultLists, kept: ListBlocks, layout: Layout, *, threads: int = 1, report: Report = quiet
) -> None:
    """Write all lists to an open file.

    report  called as report("progress", done=, total=, unit="lists written")
    """
    whole = slice(0, kept.q)
    if layout.kind == "parquet":
        _write_parquet(out, answers, kept, whole, layout.names, report)
    else:
        block = _encoded(answers, kept, layout)
        out.write(_header(answers, layout))
        _write_blocks(out, block, whole, kept.q, threads, report)


def write_shards(
    folder: Path,
    answers: ResultLists,
    kept: ListBlocks,
    layout: Layout,
    about: Mapping[str, Any],
    *,
    threads: int = 1,
    report: Report = quiet,
) -> None:
    """Write all lists to a folder of `layout.shards` files with a manifest; it appears whole, or replaces an old one.

    The files end to end are what the single file would hold (unpacked; of Parquet: the same rows), but that each has
    the header, where there is one. The manifest has of each file its lists, results, bytes and SHA-256, and beside them
    what is in `about`: where the lists come from.

    Raises ArtifactError when other files stand in the folder.
    """
    check_folder(folder)
    places = layout.shard_slices(kept.q)
    with atomic_folder(folder) as draft:
        names = [layout.shard_name(shard) for shard in range(len(places))]
        block = None if layout.kind == "parquet" else _encoded(answers, kept, layout)
        for name, here in zip(names, places, strict=True):
            with (draft / name).open("wb") as out:
                if block is None:
                    _write_parquet(out, answers, kept, here, layout.names, report)
                else:
                    out.write(_header(answers, layout))
                    _write_blocks(out, block, here, kept.q, threads, report)
        files = {
            name: {
                "lists": here.stop - here.start,
                "results": sum(int((kept.block(part)[0] >= 0).sum()) for part in slices(here.start, here.stop)),
                "bytes": (draft / name).stat().st_size,
                "sha256": sha256(draft / name),
            }
            for name, here in zip(names, places, strict=True)
        }
        totals = {what: sum(file[what] for file in files.values()) for what in ("lists", "results", "bytes")}
        manifest = {"format": _FORMAT, "kind": "export", "layout": layout.kind, "packing": layout.packing}
        manifest |= {"k": kept.k, **totals, **about, "files": files}
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (draft / MANIFEST).write_text(text, encoding="utf-8", errors="surrogatepass")


def check_folder(folder: Path) -> None:
    """Raises ArtifactError unless `folder` is missing, empty, or an earlier export."""
    try:
        other = other_file(folder, lambda _: {MANIFEST, *_manifest_files(folder)})
    except NotADirectoryError:
        raise ArtifactError(f"{folder} is a file, but shards need a folder; move it away or name another") from None
    if other is not None:
        raise ArtifactError(f"{folder} holds other files and no export; move it away or name another")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of shards. Raises ArtifactError where there is none."""
    none = ArtifactError(f"{folder} holds no export (its {MANIFEST} is missing, damaged or of another version)")
    with decoding(lambda _: none):
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8", errors="surrogatepass"))
        if manifest["kind"] == "export" and manifest["format"] == _FORMAT and isinstance(manifest["files"], dict):
            return dict(manifest)
    raise none


def fingerprint(about: Mapping[str, Any]) -> str:
    """SHA-256 over JSON values."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _manifest_files(folder: Path) -> set[str]:
    try:
        return set(read_manifest(folder)["files"])
    except ArtifactError:
        return set()


def _encoded(answers: ResultLists, kept: ListBlocks, layout: Layout) -> Callable[[slice], memoryview | bytes]:
    """What gives the bytes of a slice of the lists."""
    kind: TextFormat = layout.kind  # type: ignore[assignment]
    encode = encoder(answers, kind, kept.k, whitespace=layout.whitespace, prefix=layout.prefix, names=layout.names)
    return lambda here: packed(encode(here, *kept.block(here)), layout.packing)


def _header(answers: ResultLists, layout: Layout) -> memoryview | bytes:
    """The line of column names, packed like what follows it; nothing where there is none."""
    if not layout.headed:
        return b""
    return packed(header(answers, layout.kind, layout.names), layout.packing)  # type: ignore[arg-type]


def _write_blocks(
    out: IO[bytes], block: Callable[[slice], memoryview | bytes], whole: slice, q: int, threads: int, report: Report
) -> None:
    """Write a slice of the lists, blocks worked on side by side."""
    parts = list(slices(whole.start, whole.stop))
    for here, data in zip(parts, in_order(block, parts, threads), strict=True):
        out.write(data)
        report("progress", done=here.stop, total=q, unit="lists written")


def _write_parquet(
    out: IO[bytes], answers: ResultLists, kept: ListBlocks, whole: slice, names: bool, report: Report
) -> None:
    """Columns: the seed, rank from 1, the result, score, and names; one row a result."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    seed, _, result, *_ = columns = answers.columns_with(names)
    labels = [to_arrow(held.names, large=True) if held.names is not None else None for _, held in answers.named()]
    seeds, found = to_arrow(answers.seeds.ids, large=True), to_arrow(answers.vocab.ids, large=True)
    fields = {seed: seeds.type, "rank": pa.int32(), result: found.type, "score": pa.float32()}
    fields |= dict.fromkeys(columns[4:], pa.large_string())
    with pq.ParquetWriter(out, pa.schema(fields), compression="zstd") as writer:
        for here in slices(whole.start, whole.stop, max(1, _ROWS // max(1, kept.k))):
            rows, scores = kept.block(here)
            there = rows >= 0
            at, rank = np.nonzero(there)
            table = {
                seed: seeds.take(pa.array(at + here.start)),
                "rank": pa.array(rank + 1, pa.int32()),
                result: found.take(pa.array(rows[there])),
                "score": pa.array(scores[there]),
            }
            for (column, _), label, where in zip(answers.named(), labels, (at + here.start, rows[there]), strict=True):
                if f"{column}_name" in fields and label is not None:
                    table[f"{column}_name"] = label.take(pa.array(where))
            writer.write_table(pa.table(table))
            report("progress", done=here.stop, total=kept.q, unit="lists written")
