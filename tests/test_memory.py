"""A memory budget changes no byte of the sessions, and no temporary file remains."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st
from pyarrow import csv

from embedrec.data import sort_events
from embedrec.data.filters import Filters
from embedrec.data.regroup import Regroup
from embedrec.errors import EmbedrecError
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.cooccurrence.svd import Spectral
from embedrec.readers.table import Table
from embedrec.storage import artifacts, memory_budget
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.tabular import code_ids, formats
from embedrec.tabular.read_settings import ReadSettings
from embedrec.training.context import TrainingContext
from embedrec.workflows import prepare
from embedrec.workflows.train import train_model
from tests.conftest import tiny_sessions
from tests.data import strategies as draw

BUDGET = 256 << 20
LOOSE = Filters(min_length=1)

rows = st.lists(
    st.fixed_dictionaries(
        {
            "session": st.integers(0, 4),
            "item": st.one_of(st.integers(0, 6).map(str), st.just("ö")),
            "user": st.integers(0, 2),
            "time": st.integers(1_600_000_000, 1_600_000_400),
            "rating": st.integers(1, 5),
            "kind": st.sampled_from(["click", "buy"]),
        }
    ),
    min_size=1,
    max_size=30,
)
filters = st.sampled_from(
    [
        LOOSE,
        Filters(min_length=2, min_count=2),
        Filters(min_length=1, max_length=3, long="cut", duplicates="all"),
        Filters(min_length=1, max_length=3, duplicates="consecutive", duplicates_at="end", top=3),
        Filters(min_length=1, min_rating=2, kinds=("click",), days=0.003),
    ]
)
regroups = st.sampled_from([Regroup(), Regroup(gap="1min"), Regroup(by="user"), Regroup(by="user", gap="90s")])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of an artifact but its manifest."""
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name != artifacts.MANIFEST}


def prepare_log(folder: Path, log: Path, reader: Any, memory: int | None, workers: int, **given: Any) -> Any:
    """The written files and their description, or the error message."""
    output = folder / f"with-{memory}"
    try:
        budget = IN_MEMORY if memory is None else MemoryBudget(memory, folder)
        settings = ReadSettings(workers=workers, memory=budget)
        artifact = prepare.prepare_sessions("table", reader, [log], output, settings=settings, **given)
    except EmbedrecError as e:
        return str(e)
    finally:
        assert {p.name for p in folder.iterdir()} <= {log.name, "with-None", f"with-{BUDGET}"}
    about = {key: value for key, value in artifact.about.items() if key != "seconds"}
    assert about["log"].pop("memory") == memory  # later joins have the same budget
    return contents(output), about


@draw.given(rows, filters, regroups, st.integers(1, 2), examples=60)
def test_a_memory_budget_changes_no_byte(
    given: list[dict[str, Any]], selected: Filters, regroup: Regroup, workers: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        log = Path(folder) / "log.parquet"
        pq.write_table(pa.Table.from_pylist(given), log, row_group_size=7)
        reader = Table(session="session", kind="kind")
        plain = prepare_log(Path(folder), log, reader, None, 1, filters=selected, regroup=regroup)
        patch.setattr(formats, "MAX_ROWS", 48)  # of which a budget leaves a sixteenth: 3
        patch.setattr(formats, "MAX_BYTES", 1600)  # and 100 bytes
        patch.setattr(memory_budget, "CHUNK_EVENTS", 4)
        patch.setattr(sort_events, "KERNEL_EVENTS", 0)
        patch.setattr(sort_events, "PART_EVENTS", 5)
        patch.setattr(code_ids, "DICT_IDS", 0)
        patch.setattr(code_ids, "INITIAL_SLOTS", 4)
        for memory in (None, BUDGET):
            tiny = prepare_log(Path(folder), log, reader, memory, workers, filters=selected, regroup=regroup)
            assert tiny == plain


def test_names_beyond_the_budget_are_an_error(tmp_path: Path) -> None:
    n, long = 20_000, "x" * 10_000
    table = pa.table({"session": np.arange(n) // 5, "item": np.arange(n), "title": [f"{i}{long}" for i in range(n)]})
    pq.write_table(table, tmp_path / "log.parquet")
    message = prepare_log(tmp_path, tmp_path / "log.parquet", Table(name="title"), BUDGET, 1, filters=LOOSE)
    assert isinstance(message, str)
    assert message.startswith("the distinct ids and names take 1")
    assert message.endswith(
        "M of them for names), but a memory budget of 256M leaves 160M for them; raise the budget or read fewer files"
    )


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_every_format_gives_the_same_sessions_under_a_budget(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"session": rng.integers(0, 50, 999), "item": rng.integers(0, 20, 999)})
    log = tmp_path / f"log.{suffix}"
    if suffix == "csv":
        log.write_text("session,item\n" + "".join(f"{r['session']},{r['item']}\n" for r in table.to_pylist()))
    elif suffix == "jsonl":
        log.write_text("".join(f'{{"session": {r["session"]}, "item": {r["item"]}}}\n' for r in table.to_pylist()))
    else:
        pq.write_table(table, log)
    results = [prepare_log(tmp_path, log, Table(), memory, 2, filters=LOOSE) for memory in (None, BUDGET)]
    assert results[0] == results[1]


def test_an_interrupt_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log.csv"
    log.write_text("session,item\n1,2\n1,3\n")

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "sessionize", interrupt)
    with pytest.raises(KeyboardInterrupt):
        settings = ReadSettings(memory=MemoryBudget(BUDGET, tmp_path / "w"))
        prepare.prepare_sessions("table", Table(), [log], tmp_path / "w" / "s", LOOSE, settings)
    assert not list((tmp_path / "w").iterdir())


@pytest.mark.parametrize("recipe", [Cooccurrence(min_count=1), Spectral(dim=2, min_count=1)], ids=lambda r: r.name)
def test_models_do_not_depend_on_the_budget(tmp_path: Path, recipe: Any) -> None:
    sessions = tiny_sessions()
    named = replace(sessions, ids=np.array([f"session {s}" for s in range(len(sessions))], dtype=object))
    named.save(tmp_path / "s", {})
    source = artifacts.read(tmp_path / "s", "sessions")
    models = [
        train_model(recipe, source, tmp_path / f"with-{memory}", context=TrainingContext(memory=memory)).folder
        for memory in (None, BUDGET)
    ]
    assert contents(models[0]) == contents(models[1])


def peak_memory(folder: Path, log: str, memory: str) -> tuple[int, int]:
    """The peak memory of preparing a log in MB: resident, and anonymous, which excludes mapped files."""
    command = [sys.executable, "-m", "embedrec", "prepare", "table", log, "--memory", memory, "--threads", "2"]
    peak = anonymous = 0
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:  # it has just ended
                continue
            sizes = dict(line.split(":") for line in status.splitlines() if line.startswith(("VmHWM", "RssAnon")))
            peak = max(peak, int(sizes.get("VmHWM", "0 kB").split()[0]) >> 10)
            anonymous = max(anonymous, int(sizes.get("RssAnon", "0 kB").split()[0]) >> 10)
            sleep(0.02)
        assert process.stderr is not None
        assert process.returncode == 0, process.stderr.read().decode()
    return peak, anonymous


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc to measure by")


@pytest.mark.slow
@needs_proc
def test_preparing_twelve_million_rows_needs_at_most_320_mb(tmp_path: Path) -> None:
    n = 12_000_000
    rng = np.random.default_rng(0)
    columns = {"session": np.sort(rng.integers(0, n // 10, n)), "item": rng.zipf(1.3, n) % (n // 30)}
    csv.write_csv(pa.table({**columns, "time": 1_700_000_000 + np.arange(n)}), tmp_path / "t.csv")
    assert peak_memory(tmp_path, "t.csv", "256M")[1] <= 320


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("order", ["mixed", "sorted"])
def test_preparing_long_dictionary_values_needs_at_most_620_mb(tmp_path: Path, order: str) -> None:
    n = 2_000_000
    codes = np.arange(n, dtype=np.int32) % 3
    texts = pa.DictionaryArray.from_arrays(
        pa.array(np.sort(codes) if order == "sorted" else codes), pa.array(["a" * 7000, "b" * 7000, "c"])
    )
    table = pa.table({"session": np.arange(n) // 5, "item": texts})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd", store_schema=False)
    assert peak_memory(tmp_path, "t.parquet", "512M")[0] <= 620
