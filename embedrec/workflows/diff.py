"""Counts of the items of two exports, for the popularity of their differences."""

from __future__ import annotations

from pathlib import Path

from embedrec.storage.workspace import Workspace


def item_counts(
    ids: list[str], workspace: Workspace, table: Path | None, sessions: str | None
) -> dict[str, float] | None:
    """The counts of items by id, from a table or from sessions; None without either."""
    if sessions is not None:
        from embedrec.data.sessions import Sessions

        vocab = Sessions.load(workspace.find("sessions", sessions)).vocab
        counts = [0] * len(vocab) if vocab.counts is None else vocab.counts.tolist()
        return dict(zip(map(str, vocab.ids.tolist()), counts, strict=True))
    if table is None:
        return None
    import numpy as np

    from embedrec.data.vocab import Vocab
    from embedrec.errors import DataError
    from embedrec.tabular.bad_rows import BadRows
    from embedrec.tabular.feature_tables import side_table

    features = side_table(table, "item", "item").read(Vocab(np.array(ids, dtype=object)), BadRows("fail"))[0]
    if "count" not in features.numeric:
        raise DataError(f"{table} needs a column 'count' of numbers; rename the column")
    return dict(zip(features.vocab.ids.tolist(), features.numeric["count"].tolist(), strict=True))
