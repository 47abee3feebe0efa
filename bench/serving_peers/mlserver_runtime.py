"""The job in MLServer: two parallel workers, batches of four that wait at most ten milliseconds.

The body is its own JSON with the picture's file in base64.
"""

import os

from bench.serving_job import Job
from mlserver import MLModel
from mlserver.codecs import Base64Codec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Detection(MLModel):  # type: ignore[misc]  # MLServer is not installed here
    """Pictures to what is in them."""

    async def load(self) -> bool:
        """Loads the model in a worker."""
        self.job = Job(os.environ["JOB"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One text of JSON for each picture."""
        pictures = Base64Codec.decode_input(payload.inputs[0])
        found = [self.job.run(picture).decode() for picture in pictures]
        output = ResponseOutput(name="detections", shape=[len(found), 1], datatype="BYTES", data=found)
        return InferenceResponse(model_name=self.name, outputs=[output])
