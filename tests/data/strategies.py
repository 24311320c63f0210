"""What Hypothesis draws in the tests of the nouns and readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6)
numbers = st.integers(-(2**63), 2**63 - 1)
ids = st.one_of(st.lists(texts, max_size=12), st.lists(numbers, max_size=12))  # not distinct
few = st.sampled_from(["a", "b", "c", "d", "e"])  # so few that they repeat
lists = st.lists(st.lists(few, max_size=8), max_size=8)  # sessions


def given(*strategies: Any, examples: int = 50) -> Callable[[Any], Any]:
    """`hypothesis.given` without a deadline: other work on the machine must not fail a test."""
    settings = hypothesis.settings(deadline=None, max_examples=examples)
    return lambda test: settings(hypothesis.given(*strategies)(test))
