"""A folder of vectors in the layout of the Hugging Face hub: safetensors, a table of items, a card.

vectors.safetensors  as of `file_formats`: vectors, ids, metric
items.jsonl          one object a row: id, and name and count if known; the hub's viewer shows it
README.md            the card, Markdown under YAML front matter
config.json          facts about the model
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError, decoding
from embedrec.storage.atomic import atomic_folder, other_file
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.file_formats import load_vectors, save_vectors

VECTORS, ITEMS, CARD, CONFIG = "vectors.safetensors", "items.jsonl", "README.md", "config.json"


def save_hub_folder(embeddings: Embeddings, folder: Path, card: str, config: Mapping[str, Any]) -> None:
    """Write the folder; it replaces an older export when all files are complete.

    card    text of README.md
    config  JSON values

    Raises SettingsError when the folder exists and has other files; DataError without vectors, and for ids that are
    not valid Unicode.
    """

    def check() -> None:
        other = other_file(folder, lambda _: {VECTORS, ITEMS, CARD, CONFIG}) if folder.is_dir() else None
        if other is not None or (folder.exists() and not folder.is_dir()):
            what = f"has other files ({other})" if other else "is a file"
            raise SettingsError(f"{folder} {what} and is not replaced; name a new folder")

    check()
    vocab = embeddings.vocab
    columns: dict[str, list[Any]] = {"id": vocab.ids.tolist()}
    if vocab.names is not None:
        columns["name"] = vocab.names.tolist()
    if vocab.counts is not None:
        columns["count"] = vocab.counts.tolist()
    with atomic_folder(folder, check) as draft:
        save_vectors(embeddings, draft / VECTORS)
        with (draft / ITEMS).open("w", encoding="utf-8") as f:
            for values in zip(*columns.values(), strict=True):
                f.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")
        (draft / CARD).write_text(card, encoding="utf-8")
        (draft / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def is_hub_folder(path: Path) -> bool:
    """Whether a path is a folder with vectors.safetensors."""
    return (path / VECTORS).is_file()


def load_hub_folder(folder: Path, *, metric: Metric | None = None) -> Embeddings:
    """The vectors of a folder, with the names and counts of items.jsonl if it exists.

    metric  see `file_formats.load_vectors`

    Raises DataError when a file is damaged, or items.jsonl is of other items.
    """
    embeddings = load_vectors(folder / VECTORS, metric=metric)
    path = folder / ITEMS
    if not path.is_file():
        return embeddings
    with decoding(lambda why: DataError(f"{path} must hold one JSON object with an id per line ({why})")):
        items = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        ids = [item["id"] for item in items]
        names = [item.get("name") for item in items]
        counts = [item.get("count") for item in items]
        if not all(isinstance(name, str | None) for name in names):
            raise ValueError("a name is not a string")
        if not all(isinstance(count, int | None) and not isinstance(count, bool) for count in counts):
            raise ValueError("a count is not a whole number")
    if ids != embeddings.vocab.ids.tolist():
        raise DataError(f"{path} has other items than {folder / VECTORS}; export both again")
    vocab = Vocab(
        embeddings.vocab.ids,
        None if None in names else np.array(names, dtype=object),
        None if None in counts else np.array(counts, dtype=np.int64),
    )
    return Embeddings(embeddings.vectors, vocab, embeddings.metric, embeddings.about)
