"""Interrupted exports resume, and end with the same bytes."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import signal
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import embedrec.export.write_lists as export_module
from embedrec.data import Vocab, result_lists
from embedrec.data.result_lists import ResultLists
from embedrec.data.topk import TopK
from embedrec.errors import DataError, SettingsError
from embedrec.export.file_format import layout_of
from embedrec.export.policies.settings import Policies
from embedrec.export.resume import ResumableExport, open_export
from embedrec.export.write_lists import ExportResult, ExportSettings, export_lists
from tests.export.lists import inputs_of, lists_of, some_lists

LISTS = some_lists(50, 6)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_lists, "BLOCK", 7)


class Ended(KeyboardInterrupt):
    """The interrupt of an export."""


def interrupted_lists(blocks: int, queries: list[int]) -> ResultLists:
    """Result lists that raise after a number of blocks and record the requested rows."""
    complete = lists_of(LISTS)

    def best(rows: np.ndarray, k: int) -> TopK:
        if len(queries) == blocks:
            raise Ended
        queries.append(int(rows[0]))
        return complete.best(rows, k)

    return ResultLists(complete.seeds, complete.vocab, best, complete.max_k)


def export(
    target: Path, source: ResultLists, policies: Policies, about: object = 1, resume: bool = True
) -> ExportResult:
    settings = ExportSettings(3, policies, layout=layout_of(target.name))
    return export_lists(target, source, settings, inputs_of(LISTS.vocab), {"about": about}, resume=resume)


@pytest.mark.parametrize(
    "policies", [Policies(), Policies(min_score=-0.2, mutual=True, csls=2)], ids=["plain", "policies"]
)
@pytest.mark.parametrize("name", ["l.txt", "l.tsv.gz", "l.parquet"])
def test_an_interrupted_export_resumes(tmp_path: Path, policies: Policies, name: str) -> None:
    target = tmp_path / name
    export(target, lists_of(LISTS), policies)
    expected = target.read_bytes()
    target.write_bytes(b"the old one")
    for stops in range(1, 8):
        queries: list[int] = []
        with pytest.raises(Ended):
            export(target, interrupted_lists(stops, queries), policies, resume=False)
        assert target.read_bytes() == b"the old one"
        queries = []
        done = export(target, interrupted_lists(99, queries), policies)
        assert target.read_bytes() == expected
        assert queries == list(range(7 * stops, 50, 7))
        assert (done.resumed, done.changed) == (7 * stops, False)
        assert [p.name for p in tmp_path.iterdir()] == [name]
        target.write_bytes(b"the old one")


def test_another_source_starts_again(tmp_path: Path) -> None:
    target = tmp_path / "l.txt"
    for about, resume in (("other", True), ("same", False)):
        with pytest.raises(Ended):
            export(target, interrupted_lists(3, []), Policies(), "same")
        queries: list[int] = []
        done = export(target, interrupted_lists(99, queries), Policies(), about, resume=resume)
        assert (len(queries), done.resumed, done.changed) == (8, 0, resume)


@pytest.mark.parametrize("name", ["lists.rows", "lists.scores", "lists.log"])
@pytest.mark.parametrize("damage", ["cut off", "flipped", "more"])
def test_damaged_blocks_are_computed_again(tmp_path: Path, name: str, damage: str) -> None:
    target = tmp_path / "l.tsv"
    export(target, lists_of(LISTS), Policies())
    expected = target.read_bytes()
    with pytest.raises(Ended):
        export(target, interrupted_lists(5, []), Policies())
    file = tmp_path / ".l.tsv.work" / name
    data = bytearray(file.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    file.write_bytes(data[:-3] if damage == "cut off" else data + b"xyz" * (damage == "more"))
    queries: list[int] = []
    done = export(target, interrupted_lists(99, queries), Policies())
    assert target.read_bytes() == expected
    assert done.resumed == {"cut off": 28, "flipped": 14, "more": 35}[damage]


def test_a_second_export_at_the_same_time_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ".l.txt.work"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SettingsError, match=r"another export to .*l\.txt is running; wait for it"):
            export(tmp_path / "l.txt", lists_of(LISTS), Policies())
    assert folder.is_dir()


def test_a_failed_export_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError), open_export(tmp_path / "l.txt", "x", resume=False) as work:
        assert work.folder.is_dir()
        raise DataError("something")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_the_computed_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, queries = tmp_path / "l.txt", list[int]()
    expected = export(tmp_path / "other.txt", lists_of(LISTS), Policies())
    with monkeypatch.context() as patch:

        def full(*given: object, **more: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(export_module, "write_file", full)
        with pytest.raises(
            DataError,
            match=r"l\.txt stopped \(No space left on device\); continue it with --resume "
            r"\(the lists so far are in \.l\.txt\.work\)",
        ):
            export(target, interrupted_lists(99, queries), Policies())
    queries.clear()
    assert export(target, interrupted_lists(99, queries), Policies()).lists == expected.lists and not queries
    assert target.read_bytes() == (tmp_path / "other.txt").read_bytes()


def test_ids_that_text_cannot_contain_are_refused_before_the_search(tmp_path: Path) -> None:
    vocab, queries = Vocab(["a b", *map(str, range(49))]), interrupted_lists(0, [])
    with pytest.raises(DataError, match="a file separated by spaces cannot contain the id 'a b'"):
        export(tmp_path / "l.txt", ResultLists(vocab, vocab, queries.best, queries.max_k), Policies())
    assert not list(tmp_path.iterdir())


def test_a_symbolic_link_is_kept(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("the old one")
    (tmp_path / "link.txt").symlink_to("real.txt")
    export(tmp_path / "link.txt", lists_of(LISTS), Policies())
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text().startswith("i0 ")


def test_stored_lists_equal_the_computed_ones(tmp_path: Path) -> None:
    def made(parts: Iterable[slice]) -> Iterator[TopK]:
        return (lists_of(LISTS).block(here, 6) for here in parts)

    kept = ResumableExport(tmp_path).lists("x", 50, 6, made)
    rows, scores = kept.block(slice(3, 20))
    assert np.array_equal(rows, LISTS.rows[3:20]) and np.array_equal(scores, LISTS.scores[3:20])
    assert np.array_equal(kept.mapped(), LISTS.rows)


def test_a_kill_at_any_time_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    """After each of twenty SIGKILLs the file has the old bytes or the new ones, and a resumed export the same bytes."""
    target, rng, policies = tmp_path / "l.tsv", random.Random(0), Policies(mutual=True)
    whole = lists_of(LISTS)

    def slowly(rows: np.ndarray, k: int) -> TopK:
        time.sleep(0.002)
        return whole.best(rows, k)

    slow = ResultLists(whole.seeds, whole.vocab, slowly, whole.max_k)
    started = time.perf_counter()
    export(target, slow, policies)  # kernels are compiled
    export(target, slow, policies)
    took, expected = time.perf_counter() - started, target.read_bytes()
    target.write_bytes(b"the old one")
    ended = 0
    for _ in range(20):
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                export(target, slow, policies)
            os._exit(0)
        time.sleep(rng.random() * min(took, 0.06))
        os.kill(child, signal.SIGKILL)
        ended += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert target.read_bytes() in (b"the old one", expected)
        if rng.random() < 0.3:
            export(target, slow, policies)
            assert target.read_bytes() == expected
            target.write_bytes(b"the old one")
    assert ended > 3
    export(target, slow, policies)
    assert target.read_bytes() == expected
    assert [p.name for p in tmp_path.iterdir()] == ["l.tsv"]


def test_memory_does_not_grow_with_the_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_lists, "BLOCK", 64)
    result = some_lists(64, 20)

    def peak(q: int) -> int:
        vocab = Vocab(np.arange(q))

        def best(rows: np.ndarray, k: int) -> TopK:
            return TopK(result.rows[: len(rows), :k], result.scores[: len(rows), :k], vocab)

        source, settings = (
            ResultLists(vocab, vocab, best, 20),
            ExportSettings(20, Policies(min_score=-9), layout=layout_of("l.tsv")),
        )
        export_lists(tmp_path / "l.tsv", source, settings, inputs_of(vocab), {})  # fills caches
        tracemalloc.start()
        try:
            export_lists(tmp_path / "l.tsv", source, settings, inputs_of(vocab), {})
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(500), peak(4000)
    assert many - few < 3500 * 20 * 8  # below the lists themselves, of which there are two
