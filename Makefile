# Each target sets up what it needs: a virtual environment in .venv with the pinned dependencies.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: setup demo test lint types bands unit bench clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	# its own requirements name a second OpenCV build, which would overwrite the headless one
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps trackeval
	touch $(READY)

demo: $(READY)
	mkdir -p out
	$(BIN)/camcount demo --annotate out/demo.mp4

test: lint types bands unit

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

bands: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(BIN)/pytest -q

bench: $(READY)
	$(BIN)/python bench/pipeline.py

clean:
	rm -rf .venv out
