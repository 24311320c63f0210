# Two commands from a fresh clone, with nothing but Python 3.11, pip and make:
#   make demo    environment, install, the main job on real data
#   make test    environment, install, lint, types, all tests

PYTHON ?= python3
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check install lint clean

demo: install
	.venv/bin/embedrec demo

test: install
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/check
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/test

lint: install
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/check

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt scripts/install
	PYTHON="$(PYTHON)" scripts/install
	touch $@

clean:
	rm -rf .venv build dist *.egg-info demo
