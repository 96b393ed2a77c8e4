"""The secrets of the service: from the settings, or made at the first start and kept beside the data."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

TOKEN_FILE = "admin-token"  # noqa: S105 - a file's name
SIGNING_KEY_FILE = "signing-key"
SHORT_CHARACTERS = 20  # 120 bits when they are random; nothing slows down guesses at the API


class TokenUnusable(Exception):
    """The admin token cannot be one; the text says where it came from and what to do."""


def admin_token(given: str, data_dir: Path) -> str:
    """The token that opens the API: `given`, or the kept one, or a new one that is printed once. Raises TokenUnusable."""
    if given:
        return _checked(given, "MEDIA_SERVICE_ADMIN_TOKEN")
    path = data_dir / TOKEN_FILE
    try:
        return _checked(path.read_text(), str(path))
    except FileNotFoundError:
        token = secrets.token_urlsafe(24)
        _keep(path, token)
        print(f"admin token: {token} (kept in {path})", flush=True)
        return token


def signing_keys(given: str, data_dir: Path) -> str:
    """The keys of playback tokens, as SIGNING_KEYS is written: `given`, or the kept one, or a new one."""
    if given:
        return given
    path = data_dir / SIGNING_KEY_FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        made = f"own:{secrets.token_urlsafe(32)}"
        _keep(path, made)
        return made


def _checked(text: str, source: str) -> str:
    """`text` without the line end that editors and `echo` add."""
    token = text.strip()
    if not token or not (token.isascii() and token.isprintable()) or " " in token:
        # An empty file (a full disk, a power cut long ago) must never become an empty password.
        raise TokenUnusable(
            f"The admin token in {source} must be printable ASCII characters without spaces, and at least one."
        )
    if len(token) < SHORT_CHARACTERS:
        log.warning("the admin token in %s is short: whoever tries long enough guesses it", source)
    return token


def _keep(path: Path, token: str) -> None:
    """Write the file whole or not at all; only the service's own user can read it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
