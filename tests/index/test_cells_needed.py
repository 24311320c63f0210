"""The number of cells that hold enough results, against searches of every number of cells."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.index import cells_needed as module
from embedrec.index.cells_needed import cells_needed
from embedrec.index.construct import construct_index
from embedrec.index.measure import sample_items, sample_queries
from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.exact_search import METRICS
from tests.conftest import some_embeddings


@pytest.mark.parametrize("kind", ["IVF40,Flat", "IVF40,SQ8", "PCA12,IVF40,Flat", "IVF40_HNSW8,Flat"])
@pytest.mark.parametrize("metric", METRICS)
def test_fewer_cells_do_not_reach_the_recall(kind: str, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = some_embeddings(3000, 16, metric, spread=0.5)
    index = construct_index(embeddings, kind)
    outside = np.random.default_rng(3).normal(size=(300, 16)).astype(np.float32)
    for sample in (sample_items(embeddings, 0, 500), sample_queries(embeddings, outside)):
        recalls = [sample.recall_of(index, SearchSettings(nprobe=p), once=True).mean for p in range(1, 41)]
        for recall in (0.5, 0.9, 0.99, 1.0):
            first = next((p for p, reached in enumerate(recalls, 1) if reached >= recall), 40)
            needed = cells_needed(index, sample, recall)
            assert needed <= first
            if kind == "IVF40,Flat" and recall < 1:  # nothing is lost but by cells
                assert recalls[needed - 1] >= recall - module._SLACK - 0.005
            if "HNSW" in kind:
                assert needed == 1
    whole = cells_needed(index, sample, 0.9)
    monkeypatch.setattr(module, "_BLOCK", 1)  # query by query
    assert cells_needed(index, sample, 0.9) == whole


def test_one_item_needs_one_cell() -> None:
    embeddings = some_embeddings(1)
    assert cells_needed(construct_index(embeddings, "IVF1,Flat"), sample_items(embeddings, 0), 0.99) == 1
