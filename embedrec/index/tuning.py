"""The settings of a search that reach a recall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import faiss
import numpy as np

from embedrec.index.faiss_parameters import settings_of_type
from embedrec.index.index import SPARE, Index
from embedrec.index.measure import Recall, RecallSample, batch_seconds
from embedrec.index.rescore import keys_of
from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.faiss_factory import inner

_RERANKS = (1, 2, 4, 8, 16, 32)
_FIRST_EF, _LAST_EF = 16, 4096
_TRIES = 4  # more cells that may do with fewer candidates, once the recall is reached
_FASTER = 0.9  # of the time of settings before them
_NO_GAIN = 1e-4  # of recall, from twice the cells: the rest is lost to compression


def reaching(
    index: Index, asked: RecallSample, target: float, given: SearchSettings, *, last: int | None = None
) -> tuple[list[SearchSettings], SearchSettings]:
    """Settings whose recall (its lower bound) reaches the target on what is asked: few cells and many candidates first,
    then more cells and fewer candidates. And, where there are none, those that find most.

    given  settings that stay as they are
    last   the most cells, or candidates of a graph, that are tried; None for as many as there are
    """
    able = settings_of_type(index.faiss)
    reranks: Sequence[int | None] = _RERANKS if "rerank" in able and given.rerank is None else (given.rerank,)
    options: list[SearchSettings] = []
    tries = _TRIES
    best, most = -1.0, given
    for walk in _walks(index, given, last):
        recalls = _recalls(index, asked, walk, reranks)
        enough = next((r for r, recall in zip(reranks, recalls, strict=True) if recall.low >= target), 0)
        if enough != 0 and (not options or enough != options[-1].rerank):
            options.append(replace(walk, rerank=enough))
        tries -= bool(options)
        if enough == reranks[0] or not tries:
            break
        gain = recalls[-1].mean - best
        if gain > 0:
            best = recalls[-1].mean
            most = most if options else replace(walk, rerank=reranks[-1])
        if gain < _NO_GAIN and len(reranks) > 1:
            break
    return options, most


def settled(index: Index, asked: RecallSample, target: float, given: SearchSettings) -> Index:
    """The index with the fastest settings that reach the target; where none do, with those that find most."""
    options, most = reaching(index, asked, target, given)
    best, least = options[0] if options else most, np.inf
    for option in options if len(options) > 1 else ():
        seconds = batch_seconds(index, asked, option)
        if seconds < _FASTER * least:
            best, least = option, seconds
    return replace(index, settings=best)


def _walks(index: Index, given: SearchSettings, last: int | None) -> Iterator[SearchSettings]:
    """Settings with more and more cells, or candidates of a graph: 1 to 8, then 10, 12, 14, 16, 20, 24 … to the last,
    or to all."""
    able = settings_of_type(index.faiss)
    name = "nprobe" if "nprobe" in able else "ef_search" if "ef_search" in able else ""
    if not name or getattr(given, name) is not None:
        yield given
        return
    value, all_ = (1, int(inner(index.faiss).nlist)) if name == "nprobe" else (_FIRST_EF, _LAST_EF)
    last = all_ if last is None else min(last, all_)
    while value < last:
        yield replace(given, **{name: value})
        value += max(1, (1 << value.bit_length()) // 8)
    yield replace(given, **{name: last})


def _recalls(index: Index, asked: RecallSample, walk: SearchSettings, reranks: Sequence[int | None]) -> list[Recall]:
    """Recall with each rerank. One search tells all, where fewer candidates are the first of more: an answer is found
    when it, or another that is as near, is among them. In a graph, or behind FAISS's own refinement, they are not.
    Settings with which many queries must be searched again would be slow."""
    if len(reranks) == 1 or walk.ef_search is not None or isinstance(index.faiss, faiss.IndexRefine):
        return [asked.found_by(index, replace(walk, rerank=rerank), once=True) for rerank in reranks]
    k, embeddings = asked.k + 1, index.embeddings
    proposed = index.proposed(asked.queries, k, replace(walk, rerank=reranks[-1]))  # (q, c)
    keys, least = keys_of(embeddings.vectors, asked.queries, proposed, embeddings.metric), asked.least(embeddings)
    if asked.rows is not None:
        keys[proposed == asked.rows[:, None]] = -np.inf
    return [asked.reached(keys[:, : k * (rerank or 1) + SPARE], least) for rerank in reranks]
