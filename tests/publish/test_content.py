"""The content of a publish: fingerprints, blocks, ids, scores and ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.data.result_lists import ResultLists
from embedrec.errors import DataError, SettingsError
from embedrec.publish.content import PublishContent, round_to_seven_digits
from embedrec.publish.endpoint import Endpoint
from embedrec.publish.parquet import measure_folder
from embedrec.publish.postgres import Postgres
from tests.publish.content import content, lists


def _lists(vocab: Vocab) -> ResultLists:
    """Lists whose values are not read."""
    lists = content().lists
    assert lists is not None
    return ResultLists(vocab, vocab, lists.best, max(len(vocab) - 1, 0))


def test_different_content_has_different_fingerprints() -> None:
    first = content()
    same = [first, content(), content(ids=None)]
    others = [content(seed=1), content(k=2), content(parts="neighbours"), content(parts="vectors")]
    assert len({p.fingerprint("x") for p in same}) == 1
    assert len({p.fingerprint("x") for p in [first, *others]}) == 5
    assert first.fingerprint("x") != first.fingerprint("y")


def test_blocks_contain_every_item_once() -> None:
    publication = content(9000, 2)
    blocks = list(publication.list_blocks())
    assert np.concatenate([rows for rows, _ in blocks]).tolist() == list(range(9000))
    assert [ids for _, result in blocks for ids in result.ids()] == list(lists(publication).values())
    assert publication.vectors is not None
    assert (np.concatenate([v for _, v in publication.vector_blocks()]) == publication.vectors.vectors).all()
    assert not list(content(parts="vectors").list_blocks()) and not list(content(parts="neighbours").vector_blocks())
    assert [result.rows.shape for _, result in content(3, 9, short=False).list_blocks()] == [(3, 2)]
    assert [result.rows.shape for _, result in content(1, 9, short=False).list_blocks()] == [(1, 0)]


def test_invalid_content_is_refused() -> None:
    with pytest.raises(SettingsError, match="neither neighbours nor vectors were given"):
        PublishContent(None, None, 1, {})
    with pytest.raises(DataError, match="no items to publish"):
        PublishContent(_lists(Vocab([])), None, 1, {})


@given(st.floats(width=32, allow_nan=False))
@example(174180057088.0)
@example(2.598133180275581e-28)
def test_scores_are_rounded_to_seven_digits(score: float) -> None:
    (rounded,) = round_to_seven_digits(np.array([score], dtype=np.float32)).tolist()
    assert rounded == pytest.approx(score, rel=1e-6, abs=0) or score == rounded
    assert (
        len(repr(rounded).split("e")[0].replace("-", "").replace(".", "").strip("0")) <= 7
        or abs(score) in (0, np.inf)
        or abs(score) > 1e15
    )


def test_ranks_have_sixteen_bits() -> None:
    ids = Vocab(list(range(40_000)))
    publication = PublishContent(_lists(ids), None, 32_768, {})
    with pytest.raises(
        SettingsError, match=r"^the number of neighbours must be at most 32,767, the largest rank; it is 32,768$"
    ):
        publication.check_ranks()
    for measure in (measure_folder, Postgres(Endpoint("postgresql://h/db")).measure):
        with pytest.raises(SettingsError, match=r"^the number of neighbours must be at most"):
            measure(publication)
    PublishContent(_lists(ids), None, 32_767, {}).check_ranks()
    content(k=70_000).check_ranks()
    assert content(12, k=70_000).max_k == 11
