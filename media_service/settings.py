"""One frozen object from the environment: `MEDIA_SERVICE_*`. Each field says why it exists and in which unit it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from media_service.wire.forwarded import read_networks
from media_service.wire.origins import read_origins
from media_service.wire.signatures import read_keys

PREFIX = "MEDIA_SERVICE_"
GIB = 1 << 30
MIB = 1 << 20


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator can decide. Read once, in `app`, and passed down as plain values."""

    host: Annotated[
        str, Meta(description="Address to listen on. nginx is expected in front of anything but loopback.")
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="TCP port to listen on; 0 lets the system choose, and the log says which.",
        ),
    ] = 8000
    data_dir: Annotated[
        Path, Meta(description="Directory of the embedded default: the SQLite catalog and all blobs.")
    ] = Path("media")
    admin_token: Annotated[
        str,
        Meta(
            description="The first API key. Empty: one is made at the first start, kept in DATA_DIR/admin-token (mode 0600) and printed."
        ),
    ] = ""
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Addresses and networks of the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, separated by commas."
        ),
    ] = "127.0.0.1,::1"
    cors_origins: Annotated[
        str,
        Meta(
            description="Origins whose pages may play films: `*`, or exact ones (`https://player.example`) separated by commas; none: only our own."
        ),
    ] = "*"
    playback: Annotated[
        Literal["public", "signed"],
        Meta(
            description="Who may play assets whose visibility is not set: everybody (public), or who has a playback token (signed).",
        ),
    ] = "public"
    signing_keys: Annotated[
        str,
        Meta(
            description="Keys of playback tokens, `id:base64url` separated by commas: the first signs, all verify. Empty: one is made at the first start and kept in DATA_DIR/signing-key (mode 0600)."
        ),
    ] = ""
    max_upload_bytes: Annotated[
        int,
        Meta(
            ge=1,
            description="Largest file accepted, in bytes. Larger ones get 413 before their body is read.",
        ),
    ] = 64 * GIB
    upload_memory_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="RAM that uploads may hold together, in bytes. An upload that does not fit goes straight to disk.",
        ),
    ] = 256 * MIB
    upload_idle_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="An upload that sends nothing for this long, in seconds, is ended with 408; a resumable one with 503, and what it sent is kept.",
        ),
    ] = 60.0
    upload_expires_seconds: Annotated[
        int,
        Meta(
            ge=1,
            description="How long a resumable upload is kept after its last byte, in seconds; then what it sent is removed.",
        ),
    ] = 7 * 86400
    max_open_uploads: Annotated[
        int, Meta(ge=1, description="Unfinished resumable uploads that one key may have.")
    ] = 1000
    max_reserved_bytes: Annotated[
        int,
        Meta(ge=1, description="Bytes that the unfinished resumable uploads of one key may have together."),
    ] = 1024 * GIB
    max_bodies: Annotated[
        int,
        Meta(
            ge=1,
            description="Requests that one key may be sending files with at the same time; more get 429 and come back.",
        ),
    ] = 128
    deduplicate: Annotated[
        bool,
        Meta(
            description="Whether a file that is here already (same SHA-256 and size) gives the asset that there is instead of a second one."
        ),
    ] = False
    webhook_private_targets: Annotated[
        bool,
        Meta(
            description="Whether webhooks may go to private addresses (10.0.0.0/8, loopback, link-local and the like). Whoever has a key with `manage` then reaches what the service reaches."
        ),
    ] = False
    transcode_workers: Annotated[
        int,
        Meta(
            ge=0,
            le=64,
            description="Films transcoded at the same time; 0 serves and accepts but makes nothing.",
        ),
    ] = 1
    transcode_ahead: Annotated[
        bool,
        Meta(
            description="Whether films are transcoded before anybody asks for them; if false, only what somebody plays is made."
        ),
    ] = True
    transcode_threads: Annotated[
        int, Meta(ge=0, le=64, description="Threads of each encoder; 0 lets ffmpeg take every core.")
    ] = 0
    transcode_memory_bytes: Annotated[
        int,
        Meta(
            ge=256 * MIB,
            description="Address space of each ffmpeg, in bytes. A file that needs more fails instead of taking the machine along.",
        ),
    ] = 6 * GIB
    max_duration_seconds: Annotated[float, Meta(gt=0, description="Longest film accepted, in seconds.")] = (
        24 * 3600.0
    )
    max_pixels: Annotated[
        int,
        Meta(ge=1, description="Largest picture accepted, in pixels (width x height). 8192 x 4320 is 8K."),
    ] = 8192 * 4320
    max_streams: Annotated[int, Meta(ge=1, description="Most tracks accepted in one file.")] = 64
    shutdown_seconds: Annotated[
        int, Meta(ge=0, description="How long running responses may go on after SIGTERM, in seconds.")
    ] = 10
    log_level: Annotated[
        str,
        Meta(
            pattern="^(debug|info|warning|error)$",
            description="How much is logged: debug, info, warning or error.",
        ),
    ] = "info"

    def __repr__(self) -> str:
        """Without what is secret: settings are logged, and logs are shown around."""
        hidden = {name: "***" for name in ("admin_token", "signing_keys") if getattr(self, name)}
        shown = msgspec.structs.replace(self, **hidden)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in msgspec.structs.asdict(shown).items())})"


class InvalidSettings(ValueError):
    """A variable has a value that does not fit; the text names the variable."""


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`. Raises InvalidSettings that names the variable and what is wrong with it."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        variable = PREFIX + field.name.upper()
        if variable not in environ:
            continue
        try:
            values[field.name] = msgspec.convert(environ[variable], field.type, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise InvalidSettings(f"{variable}={environ[variable]!r}: {error}") from None
    settings = Settings(**values)
    try:
        read_networks(settings.trusted_proxies)
    except ValueError as error:
        raise InvalidSettings(f"{PREFIX}TRUSTED_PROXIES={settings.trusted_proxies!r}: {error}") from None
    try:
        read_origins(settings.cors_origins)
    except ValueError as error:
        raise InvalidSettings(f"{PREFIX}CORS_ORIGINS={settings.cors_origins!r}: {error}") from None
    try:
        read_keys(settings.signing_keys)
    except ValueError as error:  # says which, and is silent about the keys
        raise InvalidSettings(f"{PREFIX}SIGNING_KEYS: {error}") from None
    return settings


def unknown(environ: Mapping[str, str]) -> list[str]:
    """The names in `environ` that look like settings and are none: worth a warning, they may be misspelt limits."""
    known = {PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings)}
    return sorted(key for key in environ if key.startswith(PREFIX) and key not in known)


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"settings of type {kind}")
