"""Columns of Arrow tables of ids and names, and Arrow tables as pandas data frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.parquet_io import to_arrow
from embedrec.data.vocab import Ids, Vocab
from embedrec.errors import need_package


def id_column(ids: Ids) -> Any:
    """Ids (n,) as an Arrow array of int64 or large_string: the columns of long tables may exceed 2 GiB of text."""
    return to_arrow(ids, large=True)


def name_column(vocab: Vocab) -> Any:
    """Display names (n,) of a vocabulary that has names, null for missing ones."""
    names = to_arrow(np.asarray(vocab.names), large=True)
    return pc.if_else(pc.equal(names, ""), pa.scalar(None, names.type), names)


def vocab_columns(vocab: Vocab) -> dict[str, Any]:
    """The columns id, and name and count if the vocabulary has them."""
    columns = {"id": id_column(vocab.ids)}
    if vocab.names is not None:
        columns["name"] = name_column(vocab)
    if vocab.counts is not None:
        columns["count"] = pa.array(vocab.counts)
    return columns


def to_pandas(table: Any) -> Any:
    """An Arrow table as a pandas.DataFrame. Raises SettingsError, naming the extra, without pandas."""
    need_package("pandas", "to_frame()")
    return table.to_pandas(split_blocks=True, self_destruct=True)
