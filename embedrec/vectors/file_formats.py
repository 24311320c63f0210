"""Read and write vectors in the formats of other tools.

word2vec text    "n d", then "id v1 … vd" per line, the most frequent first; gensim's KeyedVectors loads it
word2vec binary  the same header, then id, space, d little-endian float32
npy              (n, d) float32 in X.npy, one id per line in X.ids.txt
safetensors      tensor "vectors" (n, d); ids as int64 "ids", or as "ids_utf8" bytes split at "ids_offsets" (n+1,)
parquet          columns id, vector (fixed-size list of float32), and count, name if known
fvecs, bvecs, ivecs, fbin   see `benchmark_formats`; one id per line in X.ids.txt, row numbers without that file

safetensors and parquet hold the metric; the metric of other formats is in X.meta.json beside X, see `metadata`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import IO, Literal, get_args

import numpy as np

from embedrec.data.parquet_io import from_arrow, to_arrow
from embedrec.data.vocab import Ids, Vocab, as_ids
from embedrec.errors import DataError, SettingsError, decoding
from embedrec.progress import Report, quiet
from embedrec.storage.artifacts import write_array
from embedrec.storage.atomic import atomic_file
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.vectors.benchmark_formats import RECORDS, read_array, read_records, write_records
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import METRICS
from embedrec.vectors.metadata import IdEncoding, Meta, check_meta, load_meta, percent_decode, percent_encode, save_meta

Format = Literal["text", "binary", "npy", "safetensors", "parquet", "fvecs", "bvecs", "ivecs", "fbin"]
Whitespace = Literal["refuse", "encode"]
_SUFFIXES: dict[str, Format] = {
    ".txt": "text",
    ".vec": "text",
    ".bin": "binary",
    ".npy": "npy",
    ".safetensors": "safetensors",
    ".parquet": "parquet",
    ".fvecs": "fvecs",
    ".bvecs": "bvecs",
    ".ivecs": "ivecs",
    ".fbin": "fbin",
}
_WITH_METRIC = ("safetensors", "parquet")
BLOCK_ROWS = 8192  # rows written at a time, and read between two reports
_MAX_ID_BYTES = 4096  # a longer id means that a file is not in binary format


def format_of(path: Path, given: str | None = None) -> Format:
    """The given format, or that of the suffix. Raises SettingsError if neither is known."""
    if given is not None and given in get_args(Format):
        return given  # type: ignore[return-value]
    if given is None and path.suffix in _SUFFIXES:
        return _SUFFIXES[path.suffix]
    raise SettingsError(
        f"unknown format of {path}; use one of the suffixes {' '.join(_SUFFIXES)}, "
        f"or name the format with --format ({', '.join(get_args(Format))})"
    )


def save_vectors(
    embeddings: Embeddings,
    path: Path,
    kind: Format | None = None,
    *,
    whitespace: Whitespace = "refuse",
    report: Report = quiet,
) -> None:
    """Write vectors to a file, atomically.

    kind        format; by default that of the suffix
    whitespace  "refuse" ids with white space, which the word2vec formats cannot contain, or percent-"encode" them
    report      "progress" of the word2vec formats

    Raises DataError for ids that the format cannot contain, and without vectors.
    """
    kind = format_of(path, kind)
    if not len(embeddings):
        raise DataError(f"there are no vectors to write to {path}; train on sessions with items")
    if kind in ("text", "binary"):
        if embeddings.vocab.counts is not None:
            embeddings = _reorder(embeddings, np.argsort(-embeddings.vocab.counts, kind="stable"))
        words = words_of(embeddings.vocab, whitespace)
        longest = max(words, key=len)
        if kind == "binary" and len(longest.encode()) > _MAX_ID_BYTES:
            raise DataError(f"the id {longest[:40]!r}… is longer than {_MAX_ID_BYTES} bytes; write parquet instead")
        with atomic_file(path, "wb") as f:
            f.write(b"%d %d\n" % embeddings.vectors.shape)
            for start in range(0, len(words), BLOCK_ROWS):
                block = slice(start, start + BLOCK_ROWS)
                f.write(_LINES[kind](words[block], embeddings.vectors[block]))
                report("progress", done=min(start + BLOCK_ROWS, len(words)), total=len(words), unit="vectors")
    elif kind in RECORDS:
        write_records(embeddings.vectors, path, kind, lambda: save_ids(embeddings.vocab, path))
    else:
        _SAVE[kind](embeddings, path)
    if kind not in _WITH_METRIC:
        encoding: IdEncoding = "percent-encoded" if whitespace == "encode" and kind in _LINES else "as they are"
        save_meta(Meta(embeddings.metric, len(embeddings), embeddings.dim, encoding), path)


def load_vectors(
    path: Path,
    kind: Format | None = None,
    *,
    metric: Metric | None = None,
    encoded: bool = False,
    memory: MemoryBudget = IN_MEMORY,
    report: Report = quiet,
) -> Embeddings:
    """Read vectors from a file.

    kind     format; by default that of the suffix
    metric   by default that of the file or its X.meta.json, else cosine; `about["metric_from"]` tells which
    encoded  whether ids are percent-encoded; X.meta.json may also declare it
    memory   under a budget, vectors of npy and fbin are mapped from the file, which must not change meanwhile, those of
             fvecs, bvecs and ivecs are copied to a temporary file; those of other formats, and ids, are in memory
    report   "progress" of the word2vec formats

    Raises DataError if the file is missing, cut off or of another format, or holds a repeated id or NaN.
    """
    kind = format_of(path, kind)
    if not path.is_file():
        raise DataError(f"no file {path}; check the path")
    if kind == "npy" or kind in RECORDS:
        vocab, vectors, metric_text = _load_npy(path, memory) if kind == "npy" else _load_records(path, kind, memory)
    else:
        vocab, vectors, metric_text = _LOAD_WORDS[kind](path, report) if kind in _LOAD_WORDS else _LOAD[kind](path)
    meta = None if kind in _WITH_METRIC else load_meta(path)
    if meta is not None:
        check_meta(meta, path, *vectors.shape)
        metric_text, encoded = meta.metric, encoded or meta.ids == "percent-encoded"
    if encoded:
        vocab = Vocab(as_ids(percent_decode(vocab.ids.tolist())), vocab.names, vocab.counts)
    source = "given" if metric is not None else "assumed" if metric_text is None else "file"
    about = {"file": path.name, "format": kind, "metric_from": source}
    return Embeddings(vectors, vocab, metric or metric_text or "cosine", about)


def words_of(vocab: Vocab, whitespace: Whitespace) -> np.ndarray:
    """Ids as words of a file separated by spaces: (n,) object array of str.

    Raises DataError for an empty id, and for white space unless white space and '%' are percent-encoded.
    """
    words = vocab.ids.astype(str).astype(object) if vocab.integer else vocab.ids
    if whitespace == "encode":
        words = np.array(percent_encode(words.tolist()), dtype=object)
    invalid = next((w for w in words if not w or _INVALID.search(w)), None)
    if invalid is not None:
        remedy = "encode such ids with --whitespace encode" if _SPACE.search(invalid) else "repair it"
        raise DataError(f"a file separated by spaces cannot contain the id {invalid!r}; {remedy}")
    return words


_SPACE = re.compile(r"\s")
_INVALID = re.compile(r"[\s\ud800-\udfff]")  # white space, and lone surrogates, which UTF-8 cannot encode


# ------------------------------------------------------------------------------------------ word2vec


def _text_lines(words: np.ndarray, vectors: np.ndarray) -> bytes:
    import pyarrow as pa

    numbers = from_arrow(pa.array(vectors.ravel()).cast(pa.string()))  # shortest exact form
    table = numbers.reshape(vectors.shape)
    return "".join(f"{w} {' '.join(row)}\n" for w, row in zip(words, table, strict=True)).encode()


def _binary_lines(words: np.ndarray, vectors: np.ndarray) -> bytes:
    rows = vectors.astype("<f4")
    return b"".join(w.encode() + b" " + row.tobytes() for w, row in zip(words, rows, strict=True))


def _load_text(path: Path, report: Report) -> tuple[Vocab, np.ndarray, Metric | None]:
    words: list[str] = []
    rows: list[np.ndarray] = []
    header: tuple[int, int] | None = None
    with (
        decoding(lambda why: DataError(f"{path} is not a word2vec text file ({why}); set its format with --format")),
        path.open(encoding="utf-8-sig", newline="\n") as f,
    ):
        for number, line in enumerate(f, start=1):
            word, *numbers = line.rstrip("\r\n").rstrip(" ").split(" ")
            if number == 1 and len(numbers) == 1 and word.isdigit() and numbers[0].isdigit():
                header = (int(word), int(numbers[0]))
                continue
            with np.errstate(over="ignore"):
                vector = np.array(numbers, dtype=np.float32)
            d = header[1] if header else len(rows[0]) if rows else len(vector)
            if len(vector) != d or not d:
                raise DataError(f"{path}, line {number}: {len(vector)} numbers instead of {d}; repair the file")
            words.append(word)
            rows.append(vector)
            if header and not len(rows) % BLOCK_ROWS:
                report("progress", done=len(rows), total=header[0], unit="vectors")
    if not rows:
        raise DataError(f"{path} contains no vectors")
    if header and header[0] != len(rows):
        raise DataError(
            f"the header of {path} declares {header[0]} vectors, but it contains {len(rows)}; it is cut off or corrupt"
        )
    return Vocab(np.array(words, dtype=object)), np.stack(rows), None


def _load_binary(path: Path, report: Report) -> tuple[Vocab, np.ndarray, Metric | None]:
    size = path.stat().st_size
    with path.open("rb") as f:
        try:
            n, d = map(int, f.readline(64).split())
        except ValueError:
            raise DataError(f"{path} is not a word2vec binary file: its first line is not 'n d'") from None
        if n < 1 or d < 1 or n * (4 * d + 2) > size:
            raise DataError(
                f"{path} is cut off or no word2vec binary file: {size} bytes cannot contain {n} × {d} vectors"
            )
        words, vectors = [], np.empty((n, d), dtype=np.float32)
        for row in range(n):
            words.append(_read_id(f, path))
            data = f.read(4 * d)
            if len(data) < 4 * d:
                raise DataError(
                    f"{path} is cut off: its header declares {n} vectors, but it ends in the vector of {words[-1]!r}"
                )
            vectors[row] = np.frombuffer(data, dtype="<f4")
            if not len(words) % BLOCK_ROWS:
                report("progress", done=len(words), total=n, unit="vectors")
        if f.read(2).strip(b"\n"):
            raise DataError(f"{path} contains more than the {n} × {d} vectors of its header; correct its first line")
    return Vocab(np.array(words, dtype=object)), vectors, None


def _read_id(f: IO[bytes], path: Path) -> str:
    word = bytearray()
    while (byte := f.read(1)) != b" ":
        if not byte or len(word) > _MAX_ID_BYTES:
            raise DataError(f"{path} is cut off or no word2vec binary file: an id does not end")
        word += byte
    with decoding(lambda why: DataError(f"{path} contains an id that is not UTF-8 ({why})")):
        return word.removeprefix(b"\n").decode()  # some tools end a vector with a newline


# --------------------------------------------------------------------------------------------- arrays


def ids_file(path: Path) -> Path:
    """The file of the ids of X.npy: X.ids.txt."""
    return path.with_suffix(".ids.txt")


def id_lines(vocab: Vocab, file: Path, remedy: str = "write parquet instead") -> list[str]:
    """The lines of a file of ids. Raises DataError, with the file and the remedy, for an id with a line break."""
    words = [str(i) for i in vocab.ids.tolist()]
    invalid = next((w for w in words if _LINE_BREAK.search(w)), None)
    if invalid is not None:
        raise DataError(f"a line of {file} cannot contain the id {invalid!r}; {remedy}")
    return [w + "\n" for w in words]


def save_ids(vocab: Vocab, path: Path) -> None:
    """Write ids to `ids_file(path)`, one per line. Raises DataError for an id with a line break."""
    lines = id_lines(vocab, ids_file(path))
    with atomic_file(ids_file(path)) as f:
        f.writelines(lines)


def _load_ids(path: Path) -> Ids:
    with decoding(lambda why: DataError(f"{ids_file(path)} is not UTF-8 ({why})")):
        words = ids_file(path).read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    return np.array(words, dtype=object)


def _load_records(path: Path, kind: Format, memory: MemoryBudget) -> tuple[Vocab, np.ndarray, Metric | None]:
    vectors = read_records(path, kind, memory)
    has_ids = ids_file(path).is_file()  # benchmarks come without ids
    ids = _load_ids(path) if has_ids else np.arange(len(vectors))
    if len(ids) != len(vectors):
        raise DataError(
            f"{path} contains {len(vectors)} vectors, but {ids_file(path)} {len(ids)} ids; write one id per line"
        )
    return Vocab(ids), vectors, None


def _save_npy(embeddings: Embeddings, path: Path) -> None:
    save_ids(embeddings.vocab, path)
    with atomic_file(path, "wb") as f:
        write_array(f, embeddings.vectors)


_LINE_BREAK = re.compile(r"[\n\r\ud800-\udfff]")  # and lone surrogates


def _load_npy(path: Path, memory: MemoryBudget) -> tuple[Vocab, np.ndarray, Metric | None]:
    with decoding(lambda why: DataError(f"{path} is not an array of numbers ({why})")):
        vectors = read_array(path, memory)
    if vectors.dtype.kind not in "fiu":
        raise DataError(f"{path} is not an array of numbers")
    if not ids_file(path).is_file():
        raise DataError(f"the ids of {path} are missing; write them to {ids_file(path)}, one per line")
    return Vocab(_load_ids(path)), vectors, None


def _save_safetensors(embeddings: Embeddings, path: Path) -> None:
    from safetensors.numpy import save

    ids = embeddings.vocab.ids
    tensors = {"vectors": embeddings.vectors}
    if embeddings.vocab.integer:
        tensors["ids"] = ids
    else:
        try:
            encoded = [i.encode() for i in ids]
        except UnicodeEncodeError as e:
            raise DataError(f"the text {e.object!r} is not valid Unicode; repair it") from None
        tensors["ids_utf8"] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        tensors["ids_offsets"] = np.cumsum([0, *map(len, encoded)])
    about = {"schema_version": "1", "metric": embeddings.metric, "dim": str(embeddings.dim)}
    with atomic_file(path, "wb") as f:
        f.write(save(tensors, metadata=about))


def _load_safetensors(path: Path) -> tuple[Vocab, np.ndarray, Metric | None]:
    from safetensors import safe_open

    with decoding(lambda why: DataError(f"{path} is not a safetensors file of vectors ({why})")):
        with safe_open(path, framework="numpy") as f:
            tensors = {key: f.get_tensor(key) for key in f.keys()}  # noqa: SIM118
            about = f.metadata() or {}
        metric = about.get("metric")
        needed = ("vectors", "ids") if "ids" in tensors else ("vectors", "ids_utf8", "ids_offsets")
        missing = next((name for name in needed if name not in tensors), None)
        if missing is not None:
            raise DataError(
                f"{path} has no tensor {missing!r}; vectors need 'vectors' and 'ids' (or 'ids_utf8', 'ids_offsets')"
            )
        if "ids" in tensors:
            ids: Ids = tensors["ids"]
        else:
            text, offsets = tensors["ids_utf8"].tobytes(), tensors["ids_offsets"].tolist()
            ids = as_ids([text[start:stop].decode() for start, stop in pairwise(offsets)])
        vectors = tensors["vectors"]
    if vectors.dtype.kind not in "fiu":
        raise DataError(f"the vectors of {path} must be numbers, but are {vectors.dtype}")
    return Vocab(ids), vectors, metric if metric in METRICS else None


def _save_parquet(embeddings: Embeddings, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vocab = embeddings.vocab
    flat = pa.array(embeddings.vectors.ravel())
    columns = {
        "id": to_arrow(vocab.ids),
        "vector": pa.FixedSizeListArray.from_arrays(flat, embeddings.dim),
    }
    if vocab.counts is not None:
        columns["count"] = pa.array(vocab.counts, pa.int64())
    if vocab.names is not None:
        columns["name"] = to_arrow(vocab.names)
    table = pa.table(columns).replace_schema_metadata({"metric": embeddings.metric})
    with atomic_file(path, "wb") as f:
        pq.write_table(table, f, compression="zstd")


def _load_parquet(path: Path) -> tuple[Vocab, np.ndarray, Metric | None]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with decoding(lambda why: DataError(f"{path} is not a Parquet file ({why})")):
        table = pq.ParquetFile(path).read()
    column = next((c for c in ("vector", "embedding") if c in table.column_names), None)
    if column is None or "id" not in table.column_names:
        raise DataError(f"{path} needs columns 'id' and 'vector', but has {', '.join(table.column_names)}")
    lists, ids = table[column], from_arrow(table["id"])
    if not len(ids) or not (pa.types.is_list(lists.type) or _is_other_list(lists.type)):
        raise DataError(f"column {column!r} of {path} must contain lists of numbers, but has the type {lists.type}")
    lengths = pc.list_value_length(lists).unique()
    if lists.null_count or len(lengths) != 1:
        raise DataError(f"the vectors in column {column!r} of {path} have different lengths")
    expected = f"lists of numbers in {column!r}, integers in 'count' and strings in 'name'"
    with decoding(lambda why: DataError(f"{path} must contain {expected} ({why})")):
        flat = pc.list_flatten(lists).cast(pa.float32(), safe=False).to_numpy()
        names = from_arrow(table["name"].cast(pa.string()).fill_null("")) if "name" in table.column_names else None
        counts = from_arrow(table["count"].cast(pa.int64()).fill_null(0)) if "count" in table.column_names else None
    metric_text = (table.schema.metadata or {}).get(b"metric", b"").decode(errors="replace")
    vocab = Vocab(as_ids(ids), names, counts)
    return vocab, flat.reshape(len(ids), -1), metric_text if metric_text in METRICS else None


def _is_other_list(kind: object) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _reorder(embeddings: Embeddings, rows: np.ndarray) -> Embeddings:
    return Embeddings(embeddings.vectors[rows], embeddings.vocab.take(rows), embeddings.metric, embeddings.about)


_LINES = {"text": _text_lines, "binary": _binary_lines}
_SAVE: dict[str, Callable[[Embeddings, Path], None]] = {
    "npy": _save_npy,
    "safetensors": _save_safetensors,
    "parquet": _save_parquet,
}
_LOAD_WORDS: dict[str, Callable[[Path, Report], tuple[Vocab, np.ndarray, Metric | None]]] = {
    "text": _load_text,
    "binary": _load_binary,
}
_LOAD: dict[str, Callable[[Path], tuple[Vocab, np.ndarray, Metric | None]]] = {
    "safetensors": _load_safetensors,
    "parquet": _load_parquet,
}
