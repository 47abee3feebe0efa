"""ONNX models with the simplifications that every runtime would make on opening them already made."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnxruntime as ort

from camcount.errors import ModelLoadFailed, words_of


def simplified(content: bytes) -> bytes:
    """The model with constants folded and nodes that do nothing removed.

    Only what leaves plain ONNX is done: the fused operators of ONNX Runtime's higher levels would tie the file to it
    and to the processor of this machine.

    Raises:
        ModelLoadFailed: ONNX Runtime cannot open or write it.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "simplified.onnx"
        options.optimized_model_filepath = str(target)
        try:
            ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            return target.read_bytes()
        except Exception as error:  # the runtime's own exceptions share no class but this one
            raise ModelLoadFailed(f"the model cannot be simplified: {words_of(error, 200)}") from error
