"""Text files as people have them: UTF-8 with or without a byte order mark, plain or compressed by gzip."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from cartsight.core.errors import InputError

_GZIP = b"\x1f\x8b"

DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a compressed file raises when it is cut off or is not what it seems."""


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading its bytes, unpacked where it is compressed by gzip (by content, not by name).

    Raises
    ------
    OSError
        As `open` does.
    """
    with path.open("rb") as stream:
        compressed = stream.read(len(_GZIP)) == _GZIP
    return cast(BinaryIO, gzip.open(path, "rb")) if compressed else path.open("rb")


def open_text(path: Path) -> TextIO:
    """Open a text file for reading, line ends untranslated; close it as any other stream."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", newline="")


def damaged(path: Path) -> InputError:
    """Return the message for a file of which `DAMAGED` was raised."""
    return InputError("the compressed file is damaged or cut off", file=path, hint="Unpack it, or make it again")
