"""Pictures with a colour profile, as phones and cameras make them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

_HEAD_BYTES = 8 + 25  # of a PNG: the signature and IHDR, after which a profile may stand (PNG s5.6)
_PROFILE = b"A camera of Secret & Sons".ljust(300, b".")  # nobody reads it as a profile here


def with_profile(path: Path) -> Path:
    """The PNG at `path` gets a profile (PNG s11.3.2.3)."""
    content = path.read_bytes()
    body = b"iCCP" + b"Secret\0\0" + zlib.compress(_PROFILE)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(content[:_HEAD_BYTES] + chunk + content[_HEAD_BYTES:])
    return path
