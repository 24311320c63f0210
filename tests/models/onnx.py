"""Running ONNX graphs in tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.onnx_graph import OnnxGraph


def run_graph(graph: OnnxGraph, query: str, width: int, items: list[list[int]], **inputs: Any) -> np.ndarray:
    """The output of ONNX Runtime for histories of any lengths, padded with −1 at the end."""
    content = graph.model(query, width, {}).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    rows = np.full((len(items), max(map(len, items), default=0)), -1)
    for number, history in enumerate(items):
        rows[number, : len(history)] = history
    return session.run(["query"], {"items": rows, **inputs})[0]


def known_only(items: list[list[int]], vocab: Vocab, **columns: Any) -> Sessions:
    """The same histories without unknown items."""
    kept = [[row for row in history if row >= 0] for history in items]
    offsets = np.cumsum([0, *map(len, kept)])
    rows = np.array([row for history in kept for row in history], dtype=np.int32)
    return Sessions(offsets, rows, vocab, np.arange(len(kept)), **columns)
