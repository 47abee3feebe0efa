# Each target sets up what it needs: environments beside the project, dependencies pinned by constraints files.
PYTHON ?= python3
DATA ?= ../shared/data
BIN := .venv/bin
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: setup demo test lint types bands unit bench bench-accuracy bench-bounds bench-models bench-doctor bench-appearance clean

setup: .venv/ready-dev .venv-mlserver/ready .venv-mlflow/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --constraint constraints.txt --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/python $(PIP) --constraint constraints.txt --editable ".[dev]"
	# its own requirements name a second OpenCV build, which would overwrite the headless one
	$(BIN)/python $(PIP) --constraint constraints.txt --no-deps trackeval
	touch $@

# servers that tests talk to live in environments of their own: their pins differ from ours
.venv-mlserver/ready: tests/mlserver_runtime/constraints.txt
	$(PYTHON) -m venv .venv-mlserver
	.venv-mlserver/bin/python $(PIP) --constraint $< mlserver onnxruntime "uvloop<0.22"
	touch $@

.venv-mlflow/ready: tests/mlflow-constraints.txt
	$(PYTHON) -m venv .venv-mlflow
	.venv-mlflow/bin/python $(PIP) --constraint $< mlflow "moto[server,s3]" boto3
	touch $@

# what benchmarks compare with; supervision names a second OpenCV build, hence --no-deps
.venv-supervision/ready: bench/supervision.txt
	$(PYTHON) -m venv .venv-supervision
	.venv-supervision/bin/python $(PIP) --no-deps --requirement $<
	touch $@

demo: .venv/ready
	mkdir -p out
	$(BIN)/camcount demo --annotate out/demo.mp4

test: lint types bands unit

lint: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/ready-dev
	$(BIN)/mypy

bands: .venv/ready-dev
	$(BIN)/lint-imports

unit: setup
	$(BIN)/pytest -q

# speed of the whole pipeline: against decode and model alone, and against the supervision loop
bench: .venv/ready-dev .venv-supervision/ready
	$(BIN)/python bench/pipeline.py

# counting error: the same detections through camcount and its peers; makes .venv-peers itself
bench-accuracy: .venv/ready-dev
	$(BIN)/python -m bench.accuracy $(DATA) --loso
	$(BIN)/python -m bench.speed_tracking

# how often the truth lies within the bounds of a count, and how wide they are
bench-bounds: .venv/ready-dev
	$(BIN)/python bench/bounds.py

# prepared models against plain ones; memory of loading and unloading
bench-models: .venv/ready-dev
	$(BIN)/python bench/prepared.py
	$(BIN)/python bench/loader_memory.py

# expected loss of a line against the measured one
bench-doctor: .venv/ready-dev
	$(BIN)/python bench/doctor.py

# what a re-identification model tells apart, what it costs and what it brings
bench-appearance: .venv/ready-dev
	$(BIN)/python bench/appearance.py $(DATA)

clean:
	rm -rf .venv .venv-* out
