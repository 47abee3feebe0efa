"""Keeps what runs in MLServer's own environment out of ours."""

collect_ignore = ["onnx_runtime.py"]
