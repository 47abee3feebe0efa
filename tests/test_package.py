"""What makes a package acceptable, and what becomes of one that is not."""

from __future__ import annotations

import io
import pickle
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from camcount.errors import ModelLoadFailed, ModelNotFound, UsageError
from camcount.models.files import MANIFEST
from camcount.models.manifest import manifest_of
from camcount.models.manifest_file import save_manifest
from camcount.models.package import Package, open_package, pack, seal

MODEL = b"\x08\x07" + bytes(range(256)) * 8


def a_manifest(**changes: Any) -> dict[str, Any]:
    """Values of a manifest for one file, model.onnx."""
    return {
        "name": "tiny",
        "version": "1.0.0",
        "artifact": "model.onnx",
        "input": {"size": [32, 32]},
        "output": {"decoder": "yolox"},
        "labels": {0: "person"},
        **changes,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sealed package's folder."""
    root = tmp_path / "tiny"
    root.mkdir()
    (root / "model.onnx").write_bytes(MODEL)
    (root / "scripts").mkdir()
    (root / "scripts" / "train.py").write_text("print('trained')\n")
    seal(root, manifest_of(a_manifest(), "given"))
    return root


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are unpacked; whatever is left in it was left behind."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def manifest_bytes(folder: Path) -> bytes:
    """The text of a folder's manifest."""
    return (folder / MANIFEST).read_bytes()


def test_a_sealed_folder_opens(folder: Path) -> None:
    """The manifest lists every file below the folder but itself."""
    package = open_package(folder)
    assert package.root == folder
    assert package.artifact.read_bytes() == MODEL
    assert set(package.manifest.files) == {"model.onnx", "scripts/train.py"}
    package.close()
    assert package.artifact.exists()


@pytest.mark.parametrize("name", ["tiny.zip", "tiny.tar.gz", "tiny.TGZ"])
def test_an_archive_holds_the_same_package(folder: Path, tmp_path: Path, temporary: Path, name: str) -> None:
    """Packed and opened again it has the same digest; closing it removes what was unpacked."""
    archive = pack(folder, tmp_path / name)
    with open_package(archive) as package:
        assert package.digest == open_package(folder).digest
        assert package.artifact.read_bytes() == MODEL
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("name", ["tiny.zip", "tiny.tar.gz"])
def test_packing_twice_gives_the_same_bytes(folder: Path, tmp_path: Path, name: str) -> None:
    """An archive's own digest says whether the package changed."""
    first = pack(folder, tmp_path / name).read_bytes()
    (folder / "model.onnx").touch()
    assert pack(folder, tmp_path / f"again-{name}").read_bytes() == first


def test_an_archive_made_by_hand_may_have_the_folder_in_it(folder: Path, tmp_path: Path) -> None:
    """What `zip -r tiny.zip tiny` makes opens too."""
    path = tmp_path / "hand.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, Path("tiny") / file.relative_to(folder))
    with open_package(path) as package:
        assert package.artifact.read_bytes() == MODEL


def _flip(folder: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[100] ^= 1
    (folder / "model.onnx").write_bytes(content)


def _link(folder: Path) -> None:
    (folder / "model.onnx").rename(folder.parent / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(folder.parent / "elsewhere.onnx")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip, r"model\.onnx is not the file that model\.yaml lists \(SHA-256 \w{12}…, expected \w{12}…\)"),
        (lambda folder: (folder / "model.onnx").unlink(), r"model\.onnx is named in model\.yaml and is not there"),
        (lambda folder: (folder / "stray.bin").write_bytes(b"x"), r"stray\.bin is not listed in model\.yaml"),
        (_link, r"model\.onnx is a link"),
        (lambda folder: (folder / "out").symlink_to("/"), r"out is a link"),
    ],
)
def test_a_changed_folder_is_refused(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    """One bit, a missing file, an extra file or a link: the message names the file, the code is MODEL_002."""
    damage(folder)
    with pytest.raises(ModelLoadFailed, match=message) as caught:
        open_package(folder)
    assert caught.value.code == "MODEL_002"
    assert "\n" not in str(caught.value)


def _zip(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def _tar(path: Path, entries: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("make", [_zip, _tar])
@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:evil", "a/./b", "a\nb"])
def test_a_path_that_leaves_the_archive_is_refused(
    folder: Path, tmp_path: Path, temporary: Path, make: Callable[..., Path], name: str
) -> None:
    """Nothing is written outside, and nothing of the rest stays behind."""
    before = {path for path in tmp_path.rglob("*") if temporary not in path.parents}
    suffix = {"_zip": "zip", "_tar": "tar.gz"}[make.__name__]
    path = make(tmp_path / f"evil.{suffix}", {MANIFEST: manifest_bytes(folder), "model.onnx": MODEL, name: b"x"})
    with pytest.raises(ModelLoadFailed, match="does not stay inside the package") as caught:
        open_package(path)
    assert "\n" not in str(caught.value)
    assert not list(temporary.iterdir())
    assert {p for p in tmp_path.rglob("*") if temporary not in p.parents} == before | {path}


def test_a_link_in_a_zip_is_refused(folder: Path, tmp_path: Path, temporary: Path) -> None:
    """A link could make a later entry land anywhere."""
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("model.onnx")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ModelLoadFailed, match=r"'model\.onnx' is a link"):
        open_package(path)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_in_a_tar_is_refused(tmp_path: Path, temporary: Path, kind: bytes) -> None:
    """Links of both kinds, pipes and devices."""
    path = tmp_path / "odd.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("model.onnx")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(ModelLoadFailed, match="is a link or no regular file"):
        open_package(path)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("make", [_zip, _tar])
def test_a_bomb_is_refused_before_it_unfolds(
    folder: Path, tmp_path: Path, temporary: Path, make: Callable[..., Path]
) -> None:
    """Fifty megabytes of zeros in fifty kilobytes, where one megabyte is allowed."""
    suffix = {"_zip": "zip", "_tar": "tar.gz"}[make.__name__]
    path = make(tmp_path / f"bomb.{suffix}", {MANIFEST: manifest_bytes(folder), "model.onnx": bytes(50_000_000)})
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelLoadFailed, match="holds more than 1 MB"):
        open_package(path, max_bytes=1_000_000)
    assert not list(temporary.iterdir())


def test_a_zip_that_lies_about_its_sizes_is_refused(folder: Path, tmp_path: Path, temporary: Path) -> None:
    """The header says ten bytes, the content is five megabytes."""
    path = _zip(tmp_path / "liar.zip", {"model.onnx": bytes(5_000_000)})
    content = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(content)
    with pytest.raises(ModelLoadFailed):
        open_package(path, max_bytes=1_000_000)
    assert not list(temporary.iterdir())


def test_one_name_twice_is_refused(folder: Path, tmp_path: Path) -> None:
    """Which of the two was checked and which one is used must not be a question."""
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.onnx", MODEL)
        archive.writestr("MODEL.onnx", MODEL)
    with pytest.raises(ModelLoadFailed, match="twice"):
        open_package(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.zip", b"this is no archive"),
        ("model.zip", b""),
        ("model.tar.gz", b"\x1f\x8bnothing"),
        ("model.tar.gz", b"plain"),
        ("model.tar.gz", b""),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, temporary: Path, name: str, content: bytes) -> None:
    """One line and nothing left behind."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelLoadFailed) as caught:
        open_package(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("name", ["tiny.zip", "tiny.tar.gz"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_an_archive_cut_off_is_refused(folder: Path, tmp_path: Path, temporary: Path, name: str, part: float) -> None:
    """A download that broke off never becomes half a package."""
    (folder / "model.onnx").write_bytes(bytes(i * i % 251 for i in range(100_000)))
    seal(folder)
    whole = pack(folder, tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(ModelLoadFailed):
        open_package(tmp_path / name)
    assert not list(temporary.iterdir())


class _Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was run",))


def _pickled(protocol: int) -> bytes:
    return pickle.dumps(_Harmful(), protocol)


def _torch_like() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", _pickled(2))
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.pt", b"anything"),
        ("weights.PKL", b"anything"),
        ("cache.joblib", b"anything"),
        ("model.bin", _pickled(2)),
        ("model.bin", _pickled(4)),
        ("model.bin", _pickled(5)),
        ("model.bin", _torch_like()),
    ],
)
def test_a_safe_package_holds_no_pickles(folder: Path, name: str, content: bytes) -> None:
    """By name or by content, hidden in a ZIP or not; only `safe: false` lets one in, and nothing is run."""
    (folder / name).write_bytes(content)
    with pytest.raises(ModelLoadFailed, match=f"{name} is a Python pickle"):
        seal(folder)
    assert not seal(folder, open_package(folder, verify=False).manifest.changed(safe=False)).manifest.safe


def test_real_weights_are_not_taken_for_pickles(data: Path, tmp_path: Path) -> None:
    """ONNX files and OpenVINO's bare numbers pass."""
    from camcount.models.files import holds_pickle

    weights = [path for path in (data / "weights").rglob("*") if path.is_file()]
    assert len(weights) >= 8
    assert not [path for path in weights if holds_pickle(path)]


def test_a_file_that_is_no_package_says_how_to_make_one(tmp_path: Path) -> None:
    """A bare model file is not a package, and one command makes it one."""
    (tmp_path / "model.onnx").write_bytes(MODEL)
    with pytest.raises(ModelLoadFailed, match="camcount models init"):
        open_package(tmp_path / "model.onnx")
    with pytest.raises(ModelNotFound):
        open_package(tmp_path / "none.zip")


def test_an_archive_without_a_manifest_is_refused(tmp_path: Path, temporary: Path) -> None:
    """Any ZIP of any content."""
    with pytest.raises(ModelLoadFailed, match=r"holds no model\.yaml"):
        open_package(_zip(tmp_path / "other.zip", {"readme.txt": b"hello", "b.txt": b"x"}))
    assert not list(temporary.iterdir())


def test_packing_wants_the_name_of_an_archive(folder: Path, tmp_path: Path) -> None:
    """Nothing is written under another name."""
    with pytest.raises(UsageError, match=r"end it in \.zip"):
        pack(folder, tmp_path / "tiny.rar")
    assert not (tmp_path / "tiny.rar").exists()


def test_the_digest_tells_packages_apart(folder: Path) -> None:
    """Any change of any file or of the manifest is another package; opening it again is not."""
    digest = open_package(folder).digest
    assert open_package(folder).digest == digest
    changed = seal(folder, open_package(folder).manifest.changed(notes="better"))
    assert changed.digest != digest


def test_a_missing_file_of_an_unchecked_package_is_named(folder: Path) -> None:
    """Whoever opens without checking still gets a clear line when a file is wanted."""
    package = open_package(folder, verify=False)
    assert package.content() == folder / "model.onnx"
    with pytest.raises(ModelLoadFailed, match=r"has no file other\.onnx"):
        package.content("other.onnx")


def test_a_manifest_that_lists_too_little_is_not_enough(tmp_path: Path) -> None:
    """A package whose manifest has no digests at all is not sealed."""
    (tmp_path / "model.onnx").write_bytes(MODEL)
    save_manifest(manifest_of(a_manifest(), "given"), tmp_path)
    with pytest.raises(ModelLoadFailed, match="not listed"):
        open_package(tmp_path)
    assert isinstance(open_package(tmp_path, verify=False), Package)
