"""One file per runtime that can run a model: each is an `camcount.protocols.Engine`."""

import os

# ONNX Runtime would keep a database of what this machine is and send it to its makers; it asks once, when imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
