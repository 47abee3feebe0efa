"""Picture files of every kind, made when they are needed."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def scene(width: int = 320, height: int = 200) -> Image.Image:
    """A smooth picture with another colour in each corner."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.dstack([x, y, 255 - x]).astype(np.uint8))


def noise(width: int = 320, height: int = 200) -> Image.Image:
    """A picture that does not compress."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The content of a file as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """A PNG of two colours: 20,000 by 20,000 pixels, whole and valid, in some 50 kB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    rows = b"".join([packer.compress(row * 100) for _ in range(height // 100)] + [packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def damaged_inside(jpeg: bytes) -> bytes:
    """A JPEG with a header as it should be and a Huffman table that cannot be."""
    counts = jpeg.index(b"\xff\xc4") + 5
    return jpeg[:counts] + b"\xff" * 16 + jpeg[counts + 16 :]
