"""Whole exports: the same bytes from any threads and shards, settings, errors that leave no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.data import Vocab, result_lists
from embedrec.errors import DataError, SettingsError
from embedrec.export.file_format import layout_of
from embedrec.export.policies.settings import Policies
from embedrec.export.write_lists import ExportSettings, export_lists
from tests.export.lists import TEXT_FILES, inputs_of, lists_of, some_lists


@pytest.mark.parametrize("name", TEXT_FILES)
def test_the_same_bytes_from_any_threads_and_shards(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_lists, "BLOCK", 7)
    result = some_lists(50, 5)
    answers, contents = lists_of(result), set()
    for threads, shards in ((1, None), (3, None), (1, 1), (2, 4), (2, 50)):
        target, layout = tmp_path / f"{threads}{shards}" / name, layout_of(name, shards=shards)
        settings = ExportSettings(4, Policies(min_score=-0.5), layout=layout)
        export_lists(target, answers, settings, inputs_of(result.vocab), {}, threads=threads)
        parts = [target] if shards is None else sorted(target.glob("part-*"))
        assert len(parts) == (shards or 1)
        contents.add(b"".join(part.read_bytes() for part in parts))
    assert len(contents) == 1


def test_ids_of_invalid_unicode_are_refused(tmp_path: Path) -> None:
    answers = lists_of(some_lists(3, 2, full=1), Vocab(["a", "b\udc80", "c"]))
    for name in ("l.tsv", "l.redis", "l.jsonl", "l.parquet"):
        with pytest.raises(DataError, match="is not valid Unicode; repair it"):
            export_lists(
                tmp_path / name, answers, ExportSettings(2, layout=layout_of(name)), inputs_of(answers.vocab), {}
            )
    assert not list(tmp_path.iterdir())


def test_invalid_numbers_of_candidates_are_refused() -> None:
    with pytest.raises(SettingsError, match="candidates must be at least k = 20; it is 5"):
        ExportSettings(candidates=5, policies=Policies(mutual=True))
    with pytest.raises(SettingsError, match="candidates need a policy that selects from them"):
        ExportSettings(candidates=50)
