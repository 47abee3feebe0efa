"""``camcount models seal, keygen, sign, verify, key, encrypt, pack``: what a package needs before others get it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from camcount.commands import console, options
from camcount.commands.models_package import package_summary

PASSWORD_VARIABLE = "CAMCOUNT_KEY_PASSWORD"


def seal(package: options.PackageFolder) -> None:
    """List the files of a package anew, after a change to them or to model.yaml."""
    from camcount.models.package import seal

    sealed = seal(package)
    typer.echo(f"{sealed.manifest.reference}: {len(sealed.manifest.files)} files listed")


def keygen(
    private: Annotated[Path, typer.Argument(metavar="PRIVATE", help="Where the private key goes.")],
    public: Annotated[Path, typer.Argument(metavar="PUBLIC", help="Where the public key goes.")],
) -> None:
    """Make a pair of keys to sign packages with; CAMCOUNT_KEY_PASSWORD protects the private one."""
    from camcount.models.signing import new_key_pair

    new_key_pair(private, public, os.environ.get(PASSWORD_VARIABLE))
    typer.echo(f"wrote {private} (keep it secret) and {public} (give it to whoever verifies)")


def sign(
    package: options.PackageFolder,
    key: Annotated[Path, typer.Option(help="The private key; CAMCOUNT_KEY_PASSWORD holds its password.")],
) -> None:
    """Sign a package."""
    from camcount.models import signing
    from camcount.models.package import open_package

    opened = open_package(package)
    path = signing.sign(opened, key, os.environ.get(PASSWORD_VARIABLE))
    typer.echo(f"{opened.manifest.reference} is signed: {path}")


def verify(
    package: options.Package, key: Annotated[Path, typer.Option(help="The public key.")], json: options.Json = False
) -> None:
    """Check that a package is signed with a key, and unchanged since."""
    from camcount.models import signing
    from camcount.models.package import open_package

    with open_package(package) as opened:
        signing.verify_signature(opened, key)
        if json:
            console.print_json({**package_summary(opened), "signed": True})
            return
        typer.echo(f"{opened.manifest.reference} is signed with this key, and unchanged since")


def new_key() -> None:
    """Make a key to encrypt models with, for CAMCOUNT_MODEL_KEY."""
    from camcount.models.encryption import new_key

    typer.echo(new_key())


def encrypt(package: options.PackageFolder) -> None:
    """Encrypt a package's model files at rest, with the key in CAMCOUNT_MODEL_KEY."""
    from camcount.models.encryption import the_key
    from camcount.models.package import encrypted, open_package

    done = encrypted(open_package(package), the_key())
    files = done.manifest.encryption.files if done.manifest.encryption else ()
    typer.echo(f"{done.manifest.reference}: encrypted {', '.join(files)}; it is unsigned now")


def pack(
    package: options.PackageFolder,
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help=".zip or .tar.gz")],
) -> None:
    """Put a package into one archive."""
    from camcount.models.package import pack

    typer.echo(f"wrote {pack(package, archive)}")


COMMANDS = {
    "seal": seal,
    "keygen": keygen,
    "sign": sign,
    "verify": verify,
    "key": new_key,
    "encrypt": encrypt,
    "pack": pack,
}
"""What to register under ``camcount models``, by name."""
