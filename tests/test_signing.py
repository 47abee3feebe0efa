"""A signed package is accepted as it was signed, and in no other form."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from camcount.errors import ModelLoadFailed, UsageError
from camcount.models.files import MANIFEST, SIGNATURE, sha256
from camcount.models.manifest import manifest_of
from camcount.models.package import Package, open_package, pack, seal
from camcount.models.signing import new_key_pair, sign, verify_signature
from tests.test_package import MODEL, a_manifest

Keys = tuple[Path, Path]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """A private and a public key."""
    new_key_pair(tmp_path / "key.pem", tmp_path / "key.pub")
    return tmp_path / "key.pem", tmp_path / "key.pub"


@pytest.fixture
def package(tmp_path: Path, keys: Keys) -> Package:
    """A signed package of two files."""
    root = tmp_path / "tiny"
    root.mkdir()
    (root / "model.onnx").write_bytes(MODEL)
    (root / "readme.txt").write_text("hello")
    package = seal(root, manifest_of(a_manifest(), "given"))
    sign(package, keys[0])
    return package


def test_a_signed_package_is_accepted(package: Package, keys: Keys, tmp_path: Path) -> None:
    """In its folder, under another folder's name, and out of an archive."""
    verify_signature(package, keys[1])
    for name in ("tiny.zip", "moved.tar.gz"):
        with open_package(pack(package.root, tmp_path / name)) as unpacked:
            verify_signature(unpacked, keys[1])


def test_a_package_may_be_named_relative_to_the_folder_one_is_in(
    package: Package, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As people type it."""
    monkeypatch.chdir(package.root.parent)
    sign(open_package(package.root.name), keys[0])
    verify_signature(open_package(package.root.name), keys[1])


def test_the_signature_is_a_sigstore_bundle(package: Package) -> None:
    """Other tools of the OpenSSF's model signing read it: an in-toto statement over every file by name."""
    bundle = json.loads((package.root / SIGNATURE).read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["predicateType"] == "https://model_signing/signature/v1.0"
    assert {resource["name"] for resource in statement["predicate"]["resources"]} == {
        "model.onnx",
        "readme.txt",
        MANIFEST,
    }


def _flip(name: str, at: int) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        content = bytearray((root / name).read_bytes())
        content[at] ^= 1
        (root / name).write_bytes(content)

    return change


def _relabel(root: Path) -> None:
    text = (root / MANIFEST).read_text()
    (root / MANIFEST).write_text(text.replace("person", "nobody"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_flip("model.onnx", 0), r"model\.onnx was altered"),
        (_flip("model.onnx", -1), r"model\.onnx was altered"),
        (_flip("readme.txt", 2), r"readme\.txt was altered"),
        (_relabel, r"model\.yaml was altered"),
        (lambda root: (root / "readme.txt").unlink(), r"Missing files .* readme\.txt"),
        (lambda root: (root / "added.bin").write_bytes(b"x"), r"Extra files .* added\.bin"),
        (lambda root: (root / ".gitattributes").write_bytes(b"x"), r"Extra files .* \.gitattributes"),
        (lambda root: (root / "readme.txt").rename(root / "other.txt"), r"Extra files .* other\.txt"),
        (lambda root: (root / SIGNATURE).unlink(), r"is not signed"),
        (lambda root: (root / SIGNATURE).write_bytes(b""), r"model\.sig is damaged"),
        (lambda root: (root / SIGNATURE).write_bytes(b"{}"), r"model\.sig is damaged"),
        (lambda root: (root / SIGNATURE).write_bytes(b"\xff\xfe"), r"model\.sig is damaged"),
    ],
)
def test_an_altered_package_is_refused(
    package: Package, keys: Keys, damage: Callable[[Path], None], reason: str
) -> None:
    """One byte is enough, in any file, added or gone: MODEL_002 with the reason, on one line."""
    damage(package.root)
    with pytest.raises(ModelLoadFailed, match=reason) as caught:
        verify_signature(package, keys[1])
    assert caught.value.code == "MODEL_002"
    assert "tiny:1.0.0" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_forged_statement_is_refused(package: Package, keys: Keys) -> None:
    """Altering the model and writing its new digest into the signature's statement does not help."""
    old = sha256(package.artifact)
    _flip("model.onnx", 5)(package.root)
    path = package.root / SIGNATURE
    bundle = json.loads(path.read_text())
    statement = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    forged = statement.replace(old.encode(), sha256(package.artifact).encode())
    assert forged != statement
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(forged).decode()
    path.write_text(json.dumps(bundle))
    with pytest.raises(ModelLoadFailed, match="its signature does not hold"):
        verify_signature(package, keys[1])


def test_another_key_is_refused(package: Package, tmp_path: Path) -> None:
    """Signed by somebody is not signed by us."""
    new_key_pair(tmp_path / "other.pem", tmp_path / "other.pub")
    with pytest.raises(ModelLoadFailed, match="another key"):
        verify_signature(package, tmp_path / "other.pub")


def test_sealing_again_removes_the_signature(package: Package, keys: Keys) -> None:
    """A changed package is unsigned, not wrongly signed."""
    seal(package.root, package.manifest.changed(notes="new"))
    assert package.signature is None
    sign(open_package(package.root), keys[0])
    verify_signature(open_package(package.root), keys[1])


def test_a_damaged_package_is_not_signed(package: Package, keys: Keys) -> None:
    """A signature vouches for files that fit their manifest only."""
    _flip("model.onnx", 3)(package.root)
    before = (package.root / SIGNATURE).read_bytes()
    with pytest.raises(ModelLoadFailed, match="is not the file"):
        sign(package, keys[0])
    assert (package.root / SIGNATURE).read_bytes() == before


def test_a_key_with_a_password_signs_with_it_only(package: Package, tmp_path: Path) -> None:
    """The private key lies encrypted on the disk."""
    new_key_pair(tmp_path / "locked.pem", tmp_path / "locked.pub", "secret")
    assert "ENCRYPTED" in (tmp_path / "locked.pem").read_text()
    sign(package, tmp_path / "locked.pem", "secret")
    verify_signature(package, tmp_path / "locked.pub")
    with pytest.raises(UsageError, match="cannot be signed"):
        sign(package, tmp_path / "locked.pem", "wrong")
    with pytest.raises(UsageError, match="cannot be signed"):
        sign(package, tmp_path / "locked.pem")


def test_a_private_key_is_for_its_owner_and_never_written_over(keys: Keys, tmp_path: Path) -> None:
    """Mode 600, and a second key pair of the same name is refused."""
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    before = keys[0].read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        new_key_pair(keys[0], tmp_path / "x.pub")
    assert keys[0].read_bytes() == before


def test_what_is_no_key_is_said_to_be_none(package: Package, tmp_path: Path) -> None:
    """A missing file and a file of something else, to sign and to verify."""
    (tmp_path / "junk").write_text("not a key")
    for path in (tmp_path / "junk", tmp_path / "none"):
        with pytest.raises(UsageError, match="public key"):
            verify_signature(package, path)
        with pytest.raises(UsageError, match="cannot be signed"):
            sign(package, path)
