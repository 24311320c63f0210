"""The version of the package, which `pyproject.toml` and `embedrec --version` read."""

__version__ = "0.2.0"
