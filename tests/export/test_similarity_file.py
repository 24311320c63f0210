from __future__ import annotations

import io
import tracemalloc
from urllib.parse import unquote

import faiss
import numpy as np
import pytest

from embedrec.data import Vocab, result_lists
from embedrec.errors import DataError, SettingsError
from embedrec.export.similarity_file import write_similarity
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.index import Index
from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS
from tests.conftest import slow_nearest, some_embeddings

COMPASS = {
    "north": (0, 1),
    "north-east": (0.6, 0.8),
    "east": (1, 0),
    "south-east": (0.8, -0.6),
    "south": (0, -1),
    "west": (-1, 0),
}


def compass(kind: str = "flat") -> Index:
    return build_index(Embeddings(np.array(list(COMPASS.values())), Vocab(list(COMPASS))), kind)


def written(index: Index, k: int = 20, **options: str) -> str:
    out = io.StringIO()
    assert write_similarity(index, out, k, **options) == len(index)  # type: ignore[arg-type]
    return out.getvalue()


def test_bytes_by_hand() -> None:
    assert written(compass(), 3) == (
        "north north-east east west\n"  # east and west are at right angles both: the lower row first
        "north-east north east south-east\n"
        "east south-east north-east north\n"
        "south-east east south north-east\n"
        "south south-east east west\n"
        "west north south north-east\n"
    )


def test_k_beyond_the_catalogue_writes_all_other_items() -> None:
    lines = written(compass(), 20).splitlines()
    assert [line.split()[0] for line in lines] == list(COMPASS)
    assert all(sorted(line.split()) == sorted(COMPASS) for line in lines)
    assert written(build_index(Embeddings(np.ones((1, 2)), Vocab(["alone"])), "flat")) == "alone\n"


def test_searches_are_widened_until_lists_are_full() -> None:
    """A search of one cell has too few results; it is widened until lists are full."""
    index = build_index(some_embeddings(40), "IVF20,Flat", BuildSettings(search=SearchSettings(nprobe=1)))
    lines = [line.split(" ") for line in written(index, 39).splitlines()]
    assert [line[0] for line in lines] == index.vocab.ids.tolist()
    assert all(len(line) == len(set(line)) == 40 and "" not in line and line[0] not in line[1:] for line in lines)


@pytest.mark.parametrize("metric", METRICS)
def test_lists_equal_a_slow_reference(metric: str) -> None:
    embeddings = some_embeddings(60, 4, metric, spread=0.5)
    expected = "".join(
        " ".join(f"i{r}" for r in [row, *slow_nearest(embeddings.vectors, embeddings.vectors[row], metric, 7, row)])
        + "\n"
        for row in range(60)
    )
    assert written(build_index(embeddings, "flat"), 7) == expected


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_the_same_bytes_from_any_threads_and_blocks(kind: str, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.tile(some_embeddings(175, 24, metric, spread=0.3).vectors, (4, 1))  # each four times: they tie
    index = build_index(Embeddings(vectors, Vocab(np.arange(700)), metric), kind)  # type: ignore[arg-type]
    before, texts = faiss.omp_get_max_threads(), set()
    try:
        for threads, block in ((1, 4096), (2, 4096), (2, 100), (1, 19), (1, 7)):
            faiss.omp_set_num_threads(threads)
            monkeypatch.setattr(result_lists, "BLOCK", block)
            texts.add(written(index, 10))
    finally:
        faiss.omp_set_num_threads(before)
    assert len(texts) == 1


def test_integer_ids() -> None:
    index = build_index(Embeddings(np.array([[1, 0], [0.9, 0.1], [0, 1]]), Vocab(np.array([70, -5, 2**62]))), "flat")
    assert written(index, 1) == f"70 -5\n-5 70\n{2**62} -5\n"


def test_ids_with_white_space_are_refused_or_encoded() -> None:
    ids = ["a b", "50%", "tab\t", "line\nbreak", "no\u2028break", "plain:ö"]
    index = build_index(Embeddings(np.array(list(COMPASS.values())), Vocab(ids)), "flat")
    out = io.StringIO()
    with pytest.raises(DataError, match="a file separated by spaces cannot contain the id 'a b'; encode such ids"):
        write_similarity(index, out, 3)
    assert out.getvalue() == ""
    text = written(index, 3, whitespace="encode")
    assert text.startswith("a%20b 50%25 tab%09 plain:ö\n")
    lines = [[unquote(word) for word in line.split(" ")] for line in text.split("\n")[:-1]]
    assert [line[0] for line in lines] == ids
    assert {word for line in lines for word in line} == set(ids)


def test_ids_that_no_format_can_hold() -> None:
    index = build_index(Embeddings(np.ones((2, 2)), Vocab(["", "b"])), "flat")
    for whitespace in ("refuse", "encode"):
        with pytest.raises(DataError, match=r"^a file separated by spaces cannot contain the id ''; repair it$"):
            written(index, 1, whitespace=whitespace)


def test_invalid_k_is_refused() -> None:
    with pytest.raises(SettingsError, match="but is 0"):
        written(compass(), 0)


def test_progress_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_lists, "BLOCK", 4)
    events: list[dict[str, object]] = []
    write_similarity(compass(), io.StringIO(), 2, report=lambda event, **n: events.append({"event": event, **n}))
    assert events == [{"event": "progress", "done": d, "total": 6, "unit": "items"} for d in (4, 6)]


def test_memory_does_not_grow_with_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere(io.TextIOBase):
        def write(self, text: str) -> int:
            return len(text)

    monkeypatch.setattr(result_lists, "BLOCK", 64)

    def peak(n: int) -> int:
        index = build_index(some_embeddings(n, 4), "ivf", BuildSettings(search=SearchSettings(nprobe=1)))
        write_similarity(index, Nowhere(), 10)  # whatever is made once has been made
        tracemalloc.start()
        try:
            write_similarity(index, Nowhere(), 10)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(500), peak(4000)
    assert many - few < 4000 * 10 * 2  # far below the 8 bytes a row of the result of 4000 × 10
