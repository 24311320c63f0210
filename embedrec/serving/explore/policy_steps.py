"""The neighbours of an item before and after each policy of an export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embedrec.data.result_lists import LazyLists, item_lists
from embedrec.data.topk import TopK
from embedrec.errors import SettingsError
from embedrec.export.policies.base import PolicyInputs
from embedrec.export.policies.chain import Chain, build_chain
from embedrec.export.policies.settings import Policies
from embedrec.export.write_lists import ExportSettings
from embedrec.serving.answers import Computing, as_neighbour, rows_of
from embedrec.serving.explore.schemas import PolicyAnswer, PolicyQuery, PolicyStep
from embedrec.serving.filters import item_filter
from embedrec.serving.schemas import SimilarQuery
from embedrec.serving.sources import Served, Source
from embedrec.workflows.lineage import filter_items, item_features
from embedrec.workflows.similar import neighbour_count, similar_lists

MOST_LISTS = 20_000  # items for which the lists of all are computed, as mutual and csls need
_KEPT = 8  # chains that are remembered


async def policy_steps(served: Served, computing: Computing, request: PolicyQuery) -> PolicyAnswer:
    """The steps of an item. Raises EmbedrecError and Problem, see `problem_of`."""
    policies = Policies(
        min_score=request.min_score,
        min_evidence=request.min_evidence,
        mutual=request.mutual,
        csls=request.csls,
        discount=request.discount,
        caps=parse_caps(request.cap),
        mmr=request.mmr,
        back_off=request.back_off,
    )
    with served.find("similar", request.index, request.model) as source:
        opened = await computing.run(source.similar, request.popularity)
        (row,) = await rows_of(source, computing, opened.vocab, [request.item])
        return await computing.run(_steps, source, opened, row, request, policies)


def parse_caps(texts: Sequence[str]) -> dict[str, int] | None:
    """Caps as `Policies` has them. Raises SettingsError for a text that is not ATTRIBUTE=N."""
    caps = {}
    for text in texts:
        attribute, _, most = text.rpartition("=")
        if not attribute or not most.isdecimal() or len(most) > 9:
            raise SettingsError(f"cap must be ATTRIBUTE=N, such as artist=2, not {text!r}")
        caps[attribute] = int(most)
    return caps or None


def _steps(source: Source, opened: Any, row: int, request: PolicyQuery, policies: Policies) -> PolicyAnswer:
    vocab = opened.vocab
    if (policies.mutual or policies.csls) and len(vocab) > MOST_LISTS:
        raise SettingsError(
            f"mutual and csls need the lists of all {len(vocab):,} items, and are shown for up to {MOST_LISTS:,} only; "
            "leave them out"
        )
    k, messages = neighbour_count(vocab, request.k)
    settings = ExportSettings(k, policies, request.candidates if policies.enabled() else None)
    wanted = SimilarQuery(where=request.where, only=request.only, exclude=request.exclude)
    given = item_filter(source, wanted)
    attributes = None if given is None else given.attributes
    features = item_features(source.workspace, lambda: source.model, vocab, attributes, opened.index)
    mask, more = filter_items(given, vocab, features)
    candidates = LazyLists(item_lists(opened.among(mask)), settings.candidate_count)

    def load() -> Chain:
        inputs = PolicyInputs(vocab, lambda: source.training_sessions, features, opened.vectors, allowed=mask)
        return build_chain(policies, k, candidates, inputs)

    key = ("policies", request.popularity, str(given), str(settings.about()))
    chain = source.remembered(key, load, _KEPT)
    seeds = np.array([row])
    lists = (
        candidates.lists.best(seeds, candidates.k) if candidates.k else TopK(np.empty((1, 0)), np.empty((1, 0)), vocab)
    )
    steps = [PolicyStep("", _listed(lists, seeds))]
    for name, policy in zip(policies.enabled(), chain.policies, strict=True):
        lists = policy.apply(seeds, lists)
        described = Policies(**{name: getattr(policies, name)}).describe()
        steps.append(PolicyStep(described, _listed(lists, seeds)))
    return PolicyAnswer(source.version, vocab.id(row), vocab.name(row), steps, messages + more)


def _listed(lists: TopK, seeds: np.ndarray) -> list[Any]:
    return list(map(as_neighbour, similar_lists(lists, seeds)[0])) if lists.k else []
