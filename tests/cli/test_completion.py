"""Shell completion: scripts, and completions of commands, options and names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, succeed


def completions_of(line: str, folder: Path) -> list[str]:
    """The completions that bash receives for the last word of a line; no heavy package is imported."""
    words = line.split(" ")
    script = (
        "import sys\nfrom embedrec.cli.main import main\n"
        "try:\n    main()\nfinally:\n"
        "    heavy = {'torch', 'faiss', 'gensim', 'numba', 'pandas', 'numpy', 'scipy', 'pyarrow'} & set(sys.modules)\n"
        "    print('heavy', *sorted(heavy), file=sys.stderr)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "_EMBEDREC_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        check=False,
    )
    assert process.stderr == "heavy\n"
    return [result.split(",", 1)[1] for result in process.stdout.splitlines()]


def test_completion_of_commands_options_and_artifacts(tmp_path: Path) -> None:
    for folder in (
        "models/w2v",
        "models/vsknn-old",
        "models/.draft",
        "indexes/w2v-ivf",
        "sessions/log",
        "other/models/x",
    ):
        (tmp_path / folder).mkdir(parents=True)
    for line, expected in (
        ("embedrec si", ["similar"]),
        ("embedrec similar --ind", ["--index"]),
        ("embedrec similar --index ", ["w2v-ivf"]),
        ("embedrec similar x --model v", ["vsknn-old"]),
        ("embedrec export x --workspace other --model ", ["x"]),
        ("embedrec train vsk", ["vsknn", "vsknn-old"]),
        ("embedrec train word2vec --sessions ", ["log"]),
        ("embedrec publish redis url --index ", ["w2v-ivf"]),
        ("embedrec info w", ["w2v", "w2v-ivf"]),
        ("embedrec artifact rm vsknn-old w", ["w2v", "w2v-ivf"]),
        ("embedrec artifact mv w", ["w2v", "w2v-ivf"]),
        ("embedrec update-index ", ["w2v-ivf"]),
        ("embedrec completion f", ["fish"]),
    ):
        assert completions_of(line, tmp_path) == expected, line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Run, shell: str) -> None:
    result = succeed(run, "completion", shell)
    assert "_EMBEDREC_COMPLETE" in result.out and f"{shell}_complete" in result.out and result.err == ""
    assert run("completion", "tcsh").code == 2
