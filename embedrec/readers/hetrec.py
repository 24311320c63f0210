"""Last.fm 2K of the HetRec 2011 workshop (Cantador, Brusilovsky and Kuflik 2011): play counts, names and tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.events import Events
from embedrec.data.features import Features
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.tabular import parse_values
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.feature_tables import SideTable, add_features
from embedrec.tabular.formats import Format, Parquet
from embedrec.tabular.item_labels import tag_features
from embedrec.tabular.read_rows import Plan, check_columns, read_rows, report_bad_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import Source, expand


@dataclass(frozen=True)
class HetRec:
    """user_artists, and artists, tags and user_taggedartists if they exist, as .dat (TAB, a header) or .parquet.

    min_tags  minimum number of users who gave a tag to an artist

    A session is a user, an item an artist, a weight a play count; items have the list feature "tags", most frequent
    first. There are no times, and the order of the rows is not the listening order.
    """

    min_tags: int = 1

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The play counts as events: paths name the folder, its archive, or the files.

        Raises DataError unless there is exactly one user_artists, for unreadable files, and for bad rows (unless they
        are skipped).
        """
        files, bad_rows = _files(paths), settings.bad_rows
        plan = Plan(session="userID", user="userID", item="artistID", weight="weight", whole_ids=True)
        events = read_rows([files["user_artists"]], plan, settings)
        if "artists" in files:
            events = add_features(events, "item", SideTable([files["artists"]], "id", "name", {}), bad_rows)
        if not {"tags", "user_taggedartists"} <= files.keys():
            return events
        given = files["user_taggedartists"]
        return replace(
            events, item_features=_tags(files["tags"], given, events.items, self.min_tags, settings.bad_rows)
        )


_NAMES = ("user_artists", "artists", "tags", "user_taggedartists")

_File = tuple[Source, Format]


def _files(paths: Sequence[str | Path]) -> dict[str, _File]:
    """The files by name without suffix."""
    files: dict[str, _File] = {}
    for source in expand(paths, (".dat", ".parquet")):
        stem = source.name.lower().rpartition(".")[0]
        if stem in files:
            raise DataError(f"{files[stem][0]} and {source} are both {stem}; name one data set")
        if stem in _NAMES:
            text = source.suffix == ".dat"
            files[stem] = (source, Delimited("\t", quoted=False).decoding(source) if text else Parquet())
    if "user_artists" not in files:
        raise DataError(f"{', '.join(map(str, paths))} contains no user_artists.dat or .parquet; check the path")
    return files


def _tags(names: _File, given: _File, vocab: Vocab, least: int, bad_rows: BadRows) -> Features:
    name_of: dict[int, str] = {}
    for tags, texts in _rows(names, ("tagID",), "tagValue", bad_rows):
        name_of.update(zip(tags["tagID"].tolist(), texts, strict=True))
    known = Vocab(np.array(sorted(name_of), dtype=np.int64))
    words, word = np.unique(np.array([name_of[tag] for tag in known.ids.tolist()], dtype=object), return_inverse=True)
    items, codes = [], []  # (L,) a batch
    for columns, _ in _rows(given, ("artistID", "tagID"), "", bad_rows):
        item, tag = vocab.rows(columns["artistID"]), known.rows(columns["tagID"])
        both = (item >= 0) & (tag >= 0)
        items.append(item[both])
        codes.append(word[tag[both]])
    rows = np.concatenate([np.zeros(0, np.int64), *items])
    return tag_features(vocab, rows, np.concatenate([np.zeros(0, np.int64), *codes]), words, np.ones(len(rows)), least)


def _rows(
    file: _File, numbers: Sequence[str], text: str, bad_rows: BadRows
) -> Iterator[tuple[dict[str, np.ndarray], list[str]]]:
    """Batches without bad rows: columns of whole numbers, (b,) int64 each, and a column of texts ("" for none)."""
    source, form = file
    needed = [*numbers, *([text] if text else [])]
    check_columns(needed, source, form.columns(source))
    for batch in form.batches(source, needed, bad_rows):
        columns, problems = {}, []
        for name in numbers:
            ids, invalid = parse_values.ids(batch.columns[name], name, whole=True)
            columns[name] = parse_values.cast(ids, pa.int64())[0]
            problems += [(name, mask, problem) for mask, problem in invalid]
        rows = pa.array(np.flatnonzero(report_bad_rows(batch, problems, bad_rows)))
        texts = pc.fill_null(batch.columns[text].take(rows), "").to_pylist() if text else []
        yield {name: column.take(rows).to_numpy() for name, column in columns.items()}, texts
