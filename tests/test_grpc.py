"""The gRPC door: its messages, its errors, health checks and reflection."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tritonclient.grpc import service_pb2

import camcount.api
from camcount.api.grpc_calls import call_of
from camcount.api.grpc_messages import RPCS, SERVICE
from camcount.api.grpc_server import start_grpc
from camcount.api.v2_tensors import word
from camcount.engines.open_inference import CONTENTS
from camcount.errors import ServiceError
from tests.door_servers import LIMIT, Doors, jpeg, open_doors
from tests.fake_models import Faults
from tests.planes_v2 import Make, fakes, futures_of, until

__all__ = ["fakes"]  # a fixture

_PROTOC = Path(__file__).parents[1] / ".venv-triton" / "bin" / "python"
_FOLDER = Path(camcount.api.__file__).parent


@pytest.fixture
def doors(fakes: Make) -> Iterator[Doors]:
    """Doors over one fake model."""
    plane, tally, _ = fakes()
    with open_doors(plane, tally) as opened:
        yield opened


def _request(*pictures: bytes, model: str = "fake", **fields: Any) -> Any:
    request = RPCS["ModelInfer"].request(model_name=model, **fields)
    tensor = request.inputs.add(name="image", datatype="BYTES", shape=[len(pictures)])
    tensor.contents.bytes_contents.extend(pictures)
    return request


def _call(channel: Any, name: str, request: Any, **options: Any) -> Any:
    rpc = RPCS[name]
    path, write, read = f"/{SERVICE}/{name}", rpc.request.SerializeToString, rpc.response.FromString
    return channel.unary_unary(path, write, read)(request, timeout=options.pop("timeout", 20), **options)


def test_the_messages_are_compiled_from_what_stands_in_the_proto_file() -> None:
    """`make proto` was run after the last change."""
    if not _PROTOC.exists():
        pytest.skip("no protoc in .venv-triton: make .venv-triton/ready")
    compile_it = [str(_PROTOC), "-m", "grpc_tools.protoc", f"-I{_FOLDER}", "--descriptor_set_out=/dev/stdout"]
    done = subprocess.run([*compile_it, "inference.proto"], capture_output=True, check=True)
    assert done.stdout == (_FOLDER / "inference.binpb").read_bytes()


@pytest.mark.parametrize("name", [rpc for rpc in RPCS if rpc != "ModelConfig"])
def test_messages_have_the_numbers_and_types_of_tritons(name: str) -> None:
    """Every field of ours is there under the same number; both live in one process."""
    _compare(RPCS[name].request.DESCRIPTOR)
    _compare(RPCS[name].response.DESCRIPTOR)


def _compare(ours: Any) -> None:
    theirs = service_pb2.DESCRIPTOR.pool.FindMessageTypeByName(ours.full_name)
    assert theirs.file.pool is not ours.file.pool
    for field in ours.fields:
        twin = theirs.fields_by_name[field.name]
        assert (field.number, field.type, field.is_repeated) == (twin.number, twin.type, twin.is_repeated)
        if field.message_type is not None:
            _compare(field.message_type)


def test_values_one_by_one_are_read_as_well_as_raw_ones(doors: Doors) -> None:
    """The second way to give contents, also with others mixed up."""
    with grpc.insecure_channel(doors.grpc) as channel:
        reply = _call(channel, "ModelInfer", _request(jpeg(), id="seven"))
        assert [output.name for output in reply.outputs] == ["boxes", "scores", "labels"]
        assert reply.id == "seven"
        assert np.frombuffer(reply.raw_output_contents[0], np.float32).tolist() == [1, 1, 9, 9]
        assert reply.parameters["reason"].string_param == "the only version"
        both = _request(jpeg())
        both.raw_input_contents.append(b"")
        wrong = RPCS["ModelInfer"].request(model_name="fake")
        wrong.inputs.add(name="image", datatype="BYTES", shape=[1]).contents.int_contents.append(1)
        half = RPCS["ModelInfer"].request(model_name="fake")
        half.inputs.add(name="image", datatype="FP16", shape=[1]).contents.fp32_contents.append(1)
        for request, said in ((both, "beside"), (wrong, "bytes_contents"), (half, "raw_input_contents only")):
            with pytest.raises(grpc.RpcError) as refused:
                _call(channel, "ModelInfer", request)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert said in refused.value.details()


@pytest.mark.parametrize(("datatype", "field"), CONTENTS.items())
def test_every_datatype_has_its_field(datatype: str, field: str) -> None:
    """What is put there arrives with the dtype that the datatype names."""
    request = RPCS["ModelInfer"].request(model_name="fake.tensors")
    value: Any = b"one" if datatype == "BYTES" else 1
    tensor = request.inputs.add(name="x", datatype=datatype, shape=[1, 2])
    getattr(tensor.contents, field).extend([value, value])
    array = call_of(request, remaining_s=None).inputs["x"]
    assert array.tolist() == [[value, value]]
    assert word(array.dtype) == datatype


@pytest.mark.parametrize(
    ("model", "version", "picture", "status", "code"),
    [
        ("nobody", "", b"", grpc.StatusCode.NOT_FOUND, "MODEL_001"),
        ("fake", "9.9.9", b"", grpc.StatusCode.FAILED_PRECONDITION, "MODEL_004"),
        ("fake", "", b"no picture", grpc.StatusCode.INVALID_ARGUMENT, "INF_001"),
        ("fake", "", jpeg(3000, 2000), grpc.StatusCode.INVALID_ARGUMENT, "INF_001"),
        ("../fake.onnx", "", b"", grpc.StatusCode.NOT_FOUND, "MODEL_001"),
        ("http://127.0.0.1/x", "", b"", grpc.StatusCode.FAILED_PRECONDITION, "MODEL_004"),
    ],
)
def test_errors_have_the_status_of_the_table_and_our_code(
    doors: Doors, model: str, version: str, picture: bytes, status: Any, code: str
) -> None:
    """The code travels in the trailing metadata; neither a path nor an address is a model."""
    request = _request(picture or jpeg(), model=model, model_version=version)
    with grpc.insecure_channel(doors.grpc) as channel, pytest.raises(grpc.RpcError) as refused:
        _call(channel, "ModelInfer", request)
    assert refused.value.code() is status
    assert dict(refused.value.trailing_metadata())["camcount-code"] == code


def test_a_message_beyond_the_limit_is_refused(doors: Doors) -> None:
    """As a body is over HTTP."""
    with grpc.insecure_channel(doors.grpc) as channel, pytest.raises(grpc.RpcError) as refused:
        _call(channel, "ModelInfer", _request(bytes(LIMIT + 1)))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("leaves", ["cancel", "deadline"])
def test_work_of_a_client_that_gives_up_is_not_done(fakes: Make, leaves: str) -> None:
    """By itself, or because its time is over; the deadline goes with the request."""
    plane, tally, faults = fakes(faults=Faults(hangs={0}))
    submitted = futures_of(plane)
    rpc = RPCS["ModelInfer"]
    with open_doors(plane, tally) as doors, grpc.insecure_channel(doors.grpc) as channel:
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer", rpc.request.SerializeToString, rpc.response.FromString)
        stays = infer.future(_request(jpeg()))
        assert faults.begun.acquire(timeout=10)
        goes = infer.future(_request(jpeg()), timeout=0.3 if leaves == "deadline" else None)
        until(lambda: len(submitted) == 2)
        if leaves == "cancel":
            goes.cancel()
        until(submitted[1].cancelled)
        faults.hold.set()
        assert stays.result(10).outputs[0].name == "boxes"
    assert len(faults.seen) == 1


def test_health_checks_follow_the_models_and_the_end(fakes: Make) -> None:
    """Serving while everything is loaded, not serving while the server stops."""
    plane, tally, _ = fakes()
    with open_doors(plane, tally) as doors, grpc.insecure_channel(doors.grpc) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", SERVICE):
            assert stub.Check(health_pb2.HealthCheckRequest(service=service)).status == 1
        with pytest.raises(grpc.RpcError) as refused:
            stub.Check(health_pb2.HealthCheckRequest(service="other"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        watching = stub.Watch(health_pb2.HealthCheckRequest())
        states = [next(watching).status]
        stopping = threading.Thread(target=lambda: doors.run(doors.server.stop(5)))
        stopping.start()
        states += [state.status for state in watching]
        stopping.join(10)
    assert states == [1, 2]


def test_reflection_describes_the_service(doors: Doors) -> None:
    """Tools such as grpcurl need no proto file."""
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    with grpc.insecure_channel(doors.grpc) as channel:
        listed, found = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(asked))
    names = {service.name for service in listed.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names
    assert found.file_descriptor_response.file_descriptor_proto


def test_a_port_that_is_taken_is_an_error(doors: Doors, fakes: Make) -> None:
    """Not shared silently with whoever has it."""
    plane, tally, _ = fakes()
    with pytest.raises(ServiceError, match="is the port taken"):
        doors.run(start_grpc(plane, tally, "127.0.0.1", doors.server.port))


def test_the_port_can_be_encrypted(doors: Doors, fakes: Make) -> None:
    """With a certificate that the client knows."""
    plane, tally, _ = fakes()
    chain, key = _certificate()
    server = doors.run(start_grpc(plane, tally, "127.0.0.1", 0, tls=(chain, key)))
    try:
        with grpc.secure_channel(f"localhost:{server.port}", grpc.ssl_channel_credentials(chain)) as channel:
            assert _call(channel, "ServerReady", RPCS["ServerReady"].request()).ready
    finally:
        doors.run(server.stop(0.1))


def _certificate() -> tuple[bytes, bytes]:
    """For this machine, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    unsigned = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = unsigned.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    named = dated.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    signed = named.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    return signed, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
