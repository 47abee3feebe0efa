"""The job in LitServe: two workers, batches of eight that wait at most ten milliseconds.

``JOB=folder python -m bench.serving_peers.litserve_server PORT``: the body is the picture's file.
"""

import os
import sys
from typing import Annotated, Any

import litserve  # type: ignore[import-not-found]  # it is not installed here
from bench.serving_job import Job
from fastapi import Body, Response


class Detection(litserve.LitAPI):  # type: ignore[misc]
    """Pictures to what is in them."""

    def setup(self, device: str) -> None:
        """Loads the model in a worker."""
        self.job = Job(os.environ["JOB"])

    def decode_request(self, request: Annotated[bytes, Body()]) -> bytes:
        """The body is the picture."""
        return request

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """No tensor is made of them: batches gain nothing on a processor but fewer messages."""
        return inputs

    def predict(self, pictures: list[bytes]) -> list[bytes]:
        """One after another."""
        return [self._answer(picture) for picture in pictures]

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        """As they are."""
        return output

    def encode_response(self, output: bytes) -> Any:
        """JSON it is already."""
        return Response(output, media_type="application/json")

    def _answer(self, picture: bytes) -> bytes:
        try:
            return self.job.run(picture)
        except ValueError as error:
            return b'{"error": "%s"}' % str(error).encode()


if __name__ == "__main__":
    api = Detection(max_batch_size=8, batch_timeout=0.01)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
