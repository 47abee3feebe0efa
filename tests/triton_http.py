"""Talks to a server with Triton's public HTTP client, in an environment of its own; prints what it was told as JSON.

Arguments: host:port, the model, a picture.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException


def main(address: str, model: str, picture: Path) -> dict[str, Any]:
    """Everything that the client offers of what the server offers."""
    client = InferenceServerClient(address, concurrency=4)
    content = picture.read_bytes()
    found: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "tensors_ready": client.is_model_ready(f"{model}.tensors"),
        "nobody_ready": client.is_model_ready("nobody"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata(model),
        "tensors": client.get_model_metadata(f"{model}.tensors", "0.0.0"),
        "config": client.get_model_config(f"{model}.tensors"),
        "index": client.get_model_repository_index(),
    }
    found |= pictures(client, model, content) | tensors(client, f"{model}.tensors")
    found["statistics"] = client.get_inference_statistics(model)
    found["all_statistics"] = client.get_inference_statistics()
    client.unload_model(model)
    found["ready_after_unload"] = client.is_model_ready(model)
    client.load_model(model)
    found["ready_after_load"] = client.is_model_ready(model)
    client.close()
    return found


def pictures(client: InferenceServerClient, model: str, content: bytes) -> dict[str, Any]:
    """The pictures' interface in every way that the client can write a request."""
    binary = [InferInput("image", [1], "BYTES").set_data_from_numpy(np.array([content], np.object_))]
    text = np.array([base64.b64encode(content)], np.object_)
    plain = [InferInput("image", [1], "BYTES").set_data_from_numpy(text, binary_data=False)]
    in_json = [InferRequestedOutput(name, binary_data=False) for name in ("boxes", "labels")]
    found: dict[str, Any] = {
        "binary": told(client.infer(model, binary, request_id="seven")),
        "json": told(client.infer(model, plain, outputs=in_json)),
        "mixed": told(client.infer(model, binary, outputs=[in_json[0], InferRequestedOutput("labels")])),
        "sure": told(client.infer(model, binary, parameters={"confidence_threshold": 0.8, "max_detections": 1})),
    }
    for packing in ("gzip", "deflate"):
        found[packing] = told(client.infer(model, plain, request_compression_algorithm=packing))
    several = [client.async_infer(model, binary) for _ in range(8)]
    found["async"] = [told(request.get_result()) for request in several]
    two = InferInput("image", [2], "BYTES").set_data_from_numpy(np.array([content, content], np.object_))
    found["two"] = told(client.infer(model, [two]))
    try:
        client.infer(model, [InferInput("pixels", [1], "FP32").set_data_from_numpy(np.zeros(1, np.float32))])
    except InferenceServerException as error:
        found["refused"] = [error.status(), error.message()]
    return found


def tensors(client: InferenceServerClient, model: str) -> dict[str, Any]:
    """The engine's own interface, in binary and in JSON."""
    described = client.get_model_metadata(model)["inputs"][0]
    array = np.full((1, 3, 416, 416), 114, np.float32)
    given = InferInput(described["name"], array.shape, "FP32")
    binary = client.infer(model, [given.set_data_from_numpy(array)])
    plain = client.infer(model, [given.set_data_from_numpy(array, binary_data=False)])
    name = binary.get_response()["outputs"][0]["name"]
    same = np.allclose(binary.as_numpy(name), plain.as_numpy(name))
    return {"tensor": [name, list(binary.as_numpy(name).shape), bool(same)]}


def told(result: Any) -> dict[str, Any]:
    """The answer's parts as plain values."""
    response = result.get_response()
    arrays = {entry["name"]: result.as_numpy(entry["name"]) for entry in response["outputs"]}
    values = {name: [v.decode() if isinstance(v, bytes) else v for v in a.tolist()] for name, a in arrays.items()}
    return {**values, "id": response.get("id"), "version": response["model_version"]}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))  # noqa: T201 (its one way to say anything)
