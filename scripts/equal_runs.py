"""Find code that stands twice: `python scripts/equal_runs.py` prints runs of equal lines in `embedrec/`.

Lines are compared without indentation. Blank lines do not count, nor do imports: two modules that use the same names
have to import them both.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from itertools import combinations
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "embedrec"
SHORTEST = 8  # lines


def lines_of(path: Path) -> list[tuple[int, str]]:
    """Number and content of the lines of a file that count."""
    text = path.read_text()
    imports: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip() and number not in imports]


def equal_runs(package: Path = PACKAGE, shortest: int = SHORTEST) -> list[str]:
    """`file:line ~ file:line: N lines` of every two equal runs of at least `shortest` lines that do not overlap."""
    paths = sorted(package.rglob("*.py"))
    files = [lines_of(path) for path in paths]
    starts: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)  # content → (file, position)
    for file, lines in enumerate(files):
        for i in range(len(lines) - shortest + 1):
            starts[tuple(line for _, line in lines[i : i + shortest])].append((file, i))
    pairs = {pair for equal in starts.values() for pair in combinations(equal, 2)}
    runs = []
    for (f, i), (g, j) in sorted(pairs):
        if ((f, i - 1), (g, j - 1)) in pairs:
            continue  # the inside of a run
        length = shortest
        while ((f, i + length - shortest + 1), (g, j + length - shortest + 1)) in pairs:
            length += 1
        if f != g or i + length <= j:
            first, second = (
                f"{paths[n].relative_to(package).as_posix()}:{files[n][at][0]}" for n, at in ((f, i), (g, j))
            )
            runs.append(f"{first} ~ {second}: {length} lines")
    return runs


if __name__ == "__main__":
    runs = equal_runs()
    print("\n".join([*runs, f"{len(runs)} runs of {SHORTEST} or more equal lines"]))
    sys.exit(bool(runs))
