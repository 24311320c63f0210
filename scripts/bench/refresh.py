"""Benches of `embedrec refresh`: python scripts/bench/refresh.py PART [OPTIONS]

PART is the rest of the name of a module refresh_PART.py beside this one, such as append or kills.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the module of a part as a script."""
    here = Path(__file__).parent
    parts = sorted(path.stem.removeprefix("refresh_") for path in here.glob("refresh_*.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in parts:
        raise SystemExit(f"usage: python {sys.argv[0]} {'|'.join(parts)} [OPTIONS]")
    path = here / f"refresh_{sys.argv.pop(1)}.py"
    sys.argv[0] = str(path)
    runpy.run_path(str(path), run_name="__main__")


if __name__ == "__main__":
    main()
