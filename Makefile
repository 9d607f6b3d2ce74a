# One command for all checks, the same that CI runs: make check
PYTHON ?= python

.PHONY: check lint links types docs test oldest pages

check: lint types docs test

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

# mypy and mkdocstrings read packages from folders; these links show them `ssl_video` and the three folders beside
# it as the one package that they are installed as.
links:
	rm -rf build/types && mkdir -p build/types/ssl_video
	ln -s $(CURDIR)/ssl_video/* build/types/ssl_video/
	for part in algorithms backbones benchmarks; do ln -s $(CURDIR)/$$part build/types/ssl_video/$$part; done

types: links
	cd build/types && $(PYTHON) -m mypy --config-file $(CURDIR)/pyproject.toml -p ssl_video

# The documentation as a site in build/site; a broken link or an unknown name is an error.
docs: links
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --quiet --strict

test:
	$(PYTHON) -m pytest --slow

# The tests of everything that computes, with the oldest torch that pyproject.toml admits, in an environment of its own.
OLDEST = build/oldest
COMPUTING = tests/algorithms tests/backbones tests/networks tests/runs tests/inference tests/training $(wildcard tests/data/test_loader_*.py)
oldest: $(OLDEST)/installed
	$(OLDEST)/bin/python -m pytest -m "not slow" $(COMPUTING)

$(OLDEST)/installed: pyproject.toml
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install -q $$(sed -nE 's/^ *"(torch|torchvision)>=([0-9.]+).*/\1==\2/p' pyproject.toml)
	$(OLDEST)/bin/python -m pip install -q -e '.[test]'
	touch $@

# The generated parts of docs/algorithms, from the code.
pages:
	$(PYTHON) -m ssl_video algorithm page all -o docs/algorithms
