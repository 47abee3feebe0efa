"""Encrypted files open with their key, in memory, and with nothing else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.errors import ModelLoadFailed
from camcount.models.encryption import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    decrypt,
    encrypt,
    new_key,
    place,
    read_key,
    the_key,
)
from camcount.models.manifest import manifest_of
from camcount.models.package import Package, encrypted, open_package, pack, seal
from tests.test_package import MODEL, a_manifest

KEY = bytes(range(32))


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A plain package."""
    root = tmp_path / "tiny"
    root.mkdir()
    (root / "model.onnx").write_bytes(MODEL)
    return seal(root, manifest_of(a_manifest(), "given"))


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The key, in the environment."""
    monkeypatch.setenv(KEY_VARIABLE, base64.b64encode(KEY).decode())
    return KEY


@given(st.binary(max_size=2000), st.binary(min_size=32, max_size=32), st.text(max_size=20))
def test_what_is_encrypted_comes_back(content: bytes, any_key: bytes, name: str) -> None:
    """Any content under any key; the same content never looks the same twice."""
    where = place("model", name)
    stored = encrypt(content, any_key, where)
    assert decrypt(stored, any_key, where) == content
    assert stored != encrypt(content, any_key, where)


@given(st.integers(0, 10_000))
def test_no_bit_can_be_changed(at: int) -> None:
    """Mark, nonce, ciphertext and tag alike."""
    where = place("model", "model.onnx")
    stored = bytearray(encrypt(b"the weights of a model", KEY, where))
    stored[at // 8 % len(stored)] ^= 1 << at % 8
    with pytest.raises(ModelLoadFailed):
        decrypt(bytes(stored), KEY, where)


def test_a_file_cannot_stand_in_for_another() -> None:
    """The same key, an unaltered file, another name or another model."""
    stored = encrypt(b"weights", KEY, place("person", "model.onnx"))
    for where in (place("person", "other.onnx"), place("car", "model.onnx")):
        with pytest.raises(ModelLoadFailed, match="cannot be decrypted"):
            decrypt(stored, KEY, where)


@pytest.mark.parametrize("length", [0, 7, 8, 19, 20, 35])
def test_a_file_cut_off_is_refused(length: int) -> None:
    """At any of its parts."""
    where = place("model", "model.onnx")
    with pytest.raises(ModelLoadFailed):
        decrypt(encrypt(b"weights", KEY, where)[:length], KEY, where)


def test_the_cipher_is_the_published_one() -> None:
    """Test case 16 of the specification of GCM (McGrew, Viega), which another library would decrypt too."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    text = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
    )
    assert (
        decrypt(b"CAMCAES1" + nonce + sealed, key, bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")) == text
    )


def test_a_package_encrypted_at_rest_gives_its_plain_bytes_in_memory(
    package: Package, key: bytes, tmp_path: Path
) -> None:
    """No file of the package holds the weights any more, and its digests hold for what lies there."""
    sealed = encrypted(package, key)
    assert sealed.content() == MODEL
    assert all(MODEL[:200] not in path.read_bytes() for path in sealed.root.iterdir())
    with open_package(pack(sealed.root, tmp_path / "tiny.zip")) as unpacked:
        assert unpacked.content() == MODEL
        assert all(MODEL[:200] not in path.read_bytes() for path in unpacked.root.iterdir())


def test_encrypting_twice_changes_nothing(package: Package, key: bytes) -> None:
    """A file is encrypted once."""
    once = encrypted(package, key)
    assert encrypted(once, key).digest == once.digest


def test_without_its_key_an_encrypted_model_does_not_load(
    package: Package, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says where the key goes; a wrong key is not taken for a right one."""
    sealed = encrypted(package, key)
    monkeypatch.setenv(KEY_VARIABLE, new_key())
    with pytest.raises(ModelLoadFailed, match=r"model\.onnx cannot be decrypted") as caught:
        sealed.content()
    assert caught.value.code == "MODEL_002"
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(ModelLoadFailed, match="put its key into CAMCOUNT_MODEL_KEY"):
        sealed.content()


def test_a_plain_file_listed_as_encrypted_is_refused(package: Package, key: bytes) -> None:
    """Nobody can slip in unencrypted weights under the name of encrypted ones."""
    sealed = encrypted(package, key)
    sealed.artifact.write_bytes(MODEL)
    with pytest.raises(ModelLoadFailed, match="is listed as encrypted and is not"):
        sealed.content()


def test_the_key_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As container platforms hand secrets over; a line end is no part of it."""
    (tmp_path / "key").write_text(base64.b64encode(KEY).decode() + "\n")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "key"))
    assert the_key() == KEY
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(ModelLoadFailed, match="cannot be read"):
        the_key()


@pytest.mark.parametrize("text", ["", "short", "not base64!", base64.b64encode(KEY[:16]).decode(), "ä" * 44])
def test_what_is_no_key_is_refused(text: str) -> None:
    """The text of a wrong key is not repeated in the message."""
    with pytest.raises(ModelLoadFailed, match="it takes 32 bytes as base64") as caught:
        read_key(text, "the file")
    assert not text or text not in str(caught.value)


def test_a_new_key_is_a_key() -> None:
    """And each one is new."""
    assert len(read_key(new_key(), "here")) == 32
    assert new_key() != new_key()
