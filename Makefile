# Each target sets up what it needs: environments beside the project, dependencies pinned by constraints files.
PYTHON ?= python3
DATA ?= ../shared/data
BIN := .venv/bin
PIP := -m pip install --quiet --disable-pip-version-check
WORKERS ?= 3

# programs that tests start find what others have compiled before them
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo demo-video proto test lint types bands unit bench bench-accuracy bench-bounds bench-models bench-doctor \
	bench-gpu bench-appearance bench-serving bench-serving-chaos bench-cameras bench-dashboard bench-live bench-kills screenshots \
	soak clean

setup: .venv/ready-dev .venv-mlserver/ready .venv-mlflow/ready .venv-triton/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --constraint constraints.txt --editable ".[mqtt]"
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/python $(PIP) --constraint constraints.txt --editable ".[dev]"
	# its own requirements name a second OpenCV build, which would overwrite the headless one
	$(BIN)/python $(PIP) --constraint constraints.txt --no-deps trackeval
	touch $@

# servers that tests talk to live in environments of their own: their pins differ from ours; what is used of them is
# compiled when it is, which takes half as long
.venv-mlserver/ready: tests/mlserver_runtime/constraints.txt
	$(PYTHON) -m venv .venv-mlserver
	.venv-mlserver/bin/python $(PIP) --no-compile --constraint $< mlserver onnxruntime "uvloop<0.22"
	touch $@

.venv-mlflow/ready: tests/mlflow-constraints.txt
	$(PYTHON) -m venv .venv-mlflow
	.venv-mlflow/bin/python $(PIP) --no-compile --constraint $< mlflow "moto[server,s3]" boto3
	touch $@

# Triton's HTTP client wants an older greenlet than ours; protoc is here too
.venv-triton/ready: tests/triton-constraints.txt
	$(PYTHON) -m venv .venv-triton
	.venv-triton/bin/python $(PIP) --no-compile --constraint $< "tritonclient[http]" grpcio-tools
	touch $@

# servers that bench-serving runs beside ours; a plain FastAPI server is in LitServe's environment
.venv-litserve/ready: bench/serving-constraints.txt
	$(PYTHON) -m venv .venv-litserve
	.venv-litserve/bin/python $(PIP) --constraint $< litserve fastapi "uvicorn[standard]" onnxruntime \
		opencv-python-headless
	touch $@

.venv-mlserver/ready-bench: .venv-mlserver/ready bench/serving-constraints.txt
	.venv-mlserver/bin/python $(PIP) --constraint bench/serving-constraints.txt --no-deps opencv-python-headless
	touch $@

# what benchmarks compare with; supervision names a second OpenCV build, hence --no-deps
.venv-supervision/ready: bench/supervision.txt
	$(PYTHON) -m venv .venv-supervision
	.venv-supervision/bin/python $(PIP) --no-deps --requirement $<
	touch $@

# the demo street as a live camera of a server, until Ctrl-C; make demo MQTT=localhost tells its counts to a broker too
demo: .venv/ready
	mkdir -p out
	$(BIN)/camcount demo --live $(if $(MQTT),--mqtt $(MQTT)) $(if $(PORT),--port $(PORT))

# the same street counted as a video, beside what is true
demo-video: .venv/ready
	mkdir -p out
	$(BIN)/camcount demo --annotate out/demo.mp4

# the messages of the gRPC service, after a change of inference.proto
proto: .venv-triton/ready
	.venv-triton/bin/python -m grpc_tools.protoc -Isrc/camcount/api --descriptor_set_out=src/camcount/api/inference.binpb \
		inference.proto

# installing and checking the code side by side, then the tests
test:
	$(MAKE) --jobs 2 --output-sync setup lint types bands
	$(MAKE) unit

lint: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/ready-dev
	$(BIN)/mypy

bands: .venv/ready-dev
	$(BIN)/lint-imports

# the waits of one test are another one's work; those that measure time come last, one by one
unit: setup
	$(BIN)/pytest -q -m "not alone" --numprocesses $(WORKERS) --dist loadfile
	$(BIN)/pytest -q -m alone $$(grep --files-with-matches mark.alone tests/test_*.py)

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
	$(BIN)/python bench/loader_memory.py $(DATA)/weights/yolox_nano_416x416.onnx

# expected loss of a line against the measured one
bench-doctor: .venv/ready-dev
	$(BIN)/python bench/doctor.py

# a GPU beside the processor: boxes, speed, batches, memory; DEVICE=cpu where there is none
bench-gpu: .venv/ready-dev
	$(BIN)/python -m bench.gpu_package $(DATA)/weights/yolox_nano_416x416.onnx out/gpu
	$(BIN)/python -m bench.gpu out/gpu $(DATA)/images/coco128/images --device $(or $(DEVICE),cuda)

# camcount beside LitServe, MLServer and a plain FastAPI server, and beside the machine with no server; wants wrk
bench-serving: .venv/ready-dev .venv-litserve/ready .venv-mlserver/ready-bench
	$(BIN)/python -m bench.serving
	$(BIN)/python -m bench.serving_pipeline

# replicas that fail, hang and are killed, a cache and a remote server that go away, clients that leave, bad pictures
bench-serving-chaos: .venv/ready-dev
	$(BIN)/python -m bench.serving_chaos

# what a re-identification model tells apart, what it costs and what it brings
bench-appearance: .venv/ready-dev
	$(BIN)/python bench/appearance.py $(DATA)

# cameras per core beside the supervision loop, and what motion gating costs in counts
bench-cameras: .venv/ready-dev .venv-supervision/ready
	$(BIN)/python bench/cameras.py

# what ten open dashboards cost four cameras
bench-dashboard: .venv/ready-dev
	$(BIN)/python -m bench.dashboard

# a camera for hours in minutes: memory, threads, files; make soak SECONDS=1800
SECONDS ?= 600
soak: .venv/ready-dev
	$(BIN)/python bench/soak.py $(SECONDS)

# four RTSP cameras at once, one cut off for a minute: lag, and counts beside the offline count; make bench-live SECONDS=600
bench-live: .venv/ready-dev
	$(BIN)/python -m bench.live $(SECONDS)

# 20 kills at random moments over a file camera, on SQLite and PostgreSQL
bench-kills: .venv/ready-dev
	CAMCOUNT_TEST_KILLS=20 $(BIN)/pytest -q -k killed --timeout 1200 tests/test_cameras_files.py

# every page in two widths and two themes, to docs/screenshots; wants Debian's chromium
screenshots: .venv/ready-dev
	$(BIN)/python -m bench.screenshots

clean:
	rm -rf .venv .venv-* out
