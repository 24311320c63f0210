"""Filters of requests."""

from __future__ import annotations

from embedrec.data.feature_conditions import Condition
from embedrec.data.features import Features
from embedrec.data.item_filter import IdList, ItemFilter
from embedrec.data.vocab import Vocab
from embedrec.serving.filters import RememberedFilter, is_filtered, item_filter
from embedrec.serving.schemas import SimilarQuery, SimilarRequest
from tests.serving.conftest import Client

VOCAB = Vocab(list("abcd"))


def no_features() -> Features:
    raise AssertionError


def test_filters_are_made_of_requests(client: Client) -> None:
    source = client.service.current().defaults["similar"]
    query = SimilarQuery(where=["year>=2000"], only=["5", "a"], exclude=[])
    made = item_filter(source, query)
    assert made is not None and is_filtered(query)
    only, exclude = IdList("only", ("5", "a")), IdList("exclude", ())
    assert made.about() == ItemFilter((Condition.of("year>=2000"),), only, exclude).about()
    assert item_filter(source, SimilarRequest(items=["a"])) is None
    assert not is_filtered(SimilarRequest(items=["a"]))
    assert is_filtered(SimilarQuery(explain=True))


def test_the_items_of_a_filter_are_found_once_for_a_source(client: Client) -> None:
    source = client.service.current().defaults["similar"]
    for ids, expected in ((("a", "z"), "a"), (("b", "c"), "bc")):
        made = RememberedFilter((), IdList("only", ids), None, None, source)
        mask = made.mask(VOCAB, no_features)
        assert mask is not None and "".join(VOCAB.ids[mask]) == expected
        assert RememberedFilter((), IdList("other", ids), None, None, source).mask(VOCAB, no_features) is mask
        again = RememberedFilter((), IdList("only", ids)).mask(VOCAB, no_features)
        assert again is not mask and again is not None and (again == mask).all()
