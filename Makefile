# Three commands from a fresh clone, with nothing but Python 3.11, 3.12 or 3.13, pip and make:
#   make demo    environment, install, the main job on real data
#   make test    environment, install, lint, types, the wheel in a clean environment, all tests
#   make docs    environment, install, the documentation in site/

PYTHON ?= python3
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test docs install lint wheel clean

demo: install
	.venv/bin/embedrec demo

test: install .venv/spark
	$(MAKE) --no-print-directory -j2 --output-sync=target lint wheel
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/test

lint: install
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/check

wheel: install
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/wheel

docs: install
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/docs

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt scripts/install
	PYTHON="$(PYTHON)" scripts/install
	touch $@

# Spark has 500 MB, and only its tests need it: it is installed for them where there is Java, which it needs.
.venv/spark: .venv/installed
	if command -v java >/dev/null; then \
	  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[spark]'; fi
	touch $@

clean:
	rm -rf .venv .venv-* build dist site *.egg-info demo
