"""An MLServer runtime that runs an ONNX file, for tests of `remote`. It runs in MLServer's own environment."""

from __future__ import annotations

import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxRuntime(MLModel):  # type: ignore[misc]  # MLServer is not installed here
    """One ONNX Runtime session over the file that ``model-settings.json`` names."""

    async def load(self) -> bool:
        """Opens the session."""
        self._session = ort.InferenceSession(self.settings.parameters.uri, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Decodes the tensors, runs the session and encodes its outputs."""
        feeds = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        names = [output.name for output in self._session.get_outputs()]
        found = self._session.run(names, feeds)
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(name, array) for name, array in zip(names, found, strict=True)],
        )
