"""A service of the workspace for exploring."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from embedrec.serving.settings import ServeSettings
from tests.serving.conftest import Client
from tests.serving.explored import make_explored


@pytest.fixture(scope="package")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The indexes "flat" and "new", the models "mf", "cooccurrence" and "sknn"."""
    workspace = make_explored(tmp_path_factory.mktemp("explored"))
    settings = ServeSettings(index=("flat", "new"), model=("mf", "cooccurrence", "sknn"))
    client = Client(workspace, settings)
    yield client
    client.service.close()
