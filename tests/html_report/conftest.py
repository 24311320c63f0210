"""The workspace that tests of the page share."""

from __future__ import annotations

import pytest

from embedrec.storage.workspace import Workspace
from tests.html_report.pages import HTML_TEXTS, html_sessions, workspace_of


@pytest.fixture(scope="module")
def report_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    safe = [text for text in HTML_TEXTS if text != "\ud800"]  # cannot be saved
    return workspace_of(html_sessions(safe), tmp_path_factory.mktemp("page"))
