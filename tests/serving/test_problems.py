"""The status and the content of errors."""

from __future__ import annotations

import pytest

from embedrec.errors import ArtifactError, DataError, SettingsError, UnknownItemError
from embedrec.serving.problems import Problem, problem_of
from embedrec.serving.schemas import NearItem, encode


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownItemError("no item"), 404),
        (DataError("no JSON"), 400),
        (SettingsError("k"), 422),
        (ArtifactError("damaged"), 503),
        (MemoryError(), 503),
        (ZeroDivisionError("secret"), 500),
    ],
)
def test_errors_have_a_status(error: Exception, status: int) -> None:
    problem = problem_of(error)
    assert problem.status == status
    assert ("retry-after" in problem.headers) == (status == 503)
    assert "secret" not in str(problem)


def test_the_content_is_that_of_the_standard() -> None:
    problem = problem_of(UnknownItemError("no item 'z'; use --model x", ["a", 5]), {"a": "Anna"})
    assert problem.near == [NearItem("a", "Anna"), NearItem(5, "")]
    assert encode(problem.details) == (
        b'{"type":"/docs#not-found","title":"not found","status":404,'
        b'"detail":"no item \'z\'; use model=\xe2\x80\xa6 x",'
        b'"near":[{"item":"a","name":"Anna"},{"item":5,"name":""}]}'
    )
    assert encode(Problem(401, "no key").details) == (
        b'{"type":"/docs#key-needed","title":"key needed","status":401,"detail":"no key"}'
    )
