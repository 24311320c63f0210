"""The chain that applies policies in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.config import resolve
from embedrec.data.result_lists import CandidateLists
from embedrec.data.topk import TopK
from embedrec.export.policies.base import Policy, PolicyContext, PolicyInputs
from embedrec.export.policies.settings import POLICIES, Policies


@dataclass(frozen=True, eq=False)
class Chain:
    """A sequence of policies.

    policies  in the order of application
    k         results of each list after all policies
    """

    policies: tuple[Policy, ...]
    k: int

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """The lists (b, k) of seeds (b,), from candidates (b, c)."""
        for policy in self.policies:
            lists = policy.apply(seeds, lists)
        padding = ((0, 0), (0, max(self.k - lists.k, 0)))
        rows = np.pad(lists.rows, padding, constant_values=-1)[:, : self.k]
        return TopK(rows, np.pad(lists.scores, padding, constant_values=-np.inf)[:, : self.k], lists.vocab)


def build_chain(policies: Policies, k: int, candidates: CandidateLists, inputs: PolicyInputs) -> Chain:
    """Build the chain of the enabled policies for the lists `candidates`.

    Raises SettingsError and ArtifactError if an input of a policy is missing.
    """
    context = PolicyContext(policies, k, candidates, inputs)
    enabled = policies.enabled().items()
    return Chain(tuple(resolve(POLICIES, name, "policy").create(value, context) for name, value in enabled), k)
