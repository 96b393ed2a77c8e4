"""One frozen object from the environment: `MEDIA_SERVICE_*`. Each field says why it exists and in which unit it is."""

from __future__ import annotations

import os
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
KIB = 1 << 10
LONGEST_UNIX_SOCKET = 107  # bytes: sun_path of unix(7) has 108, the last of them is 0


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
    unix_socket: Annotated[
        str,
        Meta(
            description="Path of a Unix socket (mode 0660) to listen on instead of HOST and PORT, for a proxy in the same pod or on the same machine. Whoever connects there is believed as TRUSTED_PROXIES are.",
        ),
    ] = ""
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="Processes that serve. 1: the service is one process. More: one is the whole service, the others only send what players fetch.",
        ),
    ] = 1
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
    transform_workers: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="Files transformed at the same time (POST /api/v1/transform), for all keys together; more get 429 at once.",
        ),
    ] = 4
    transform_per_key: Annotated[
        int, Meta(ge=1, le=64, description="Of these, as many as one key may have at the same time.")
    ] = 2
    transform_max_bytes: Annotated[
        int,
        Meta(
            ge=1,
            description="Largest file that is transformed, in bytes. It lies in memory, within UPLOAD_MEMORY_BYTES: no larger than that in all (413), and 503 while it is in use.",
        ),
    ] = 128 * MIB
    transform_max_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="How long one transform may take, in seconds: by the clock for its file to come, and then for its client to read the last byte; and of processor time.",
        ),
    ] = 600.0
    transform_memory_bytes: Annotated[
        int,
        Meta(
            ge=256 * MIB,
            description="Address space of the ffmpeg of each transform, in bytes.",
        ),
    ] = 2 * GIB
    max_duration_seconds: Annotated[float, Meta(gt=0, description="Longest film accepted, in seconds.")] = (
        24 * 3600.0
    )
    max_pixels: Annotated[
        int,
        Meta(ge=1, description="Largest picture accepted, in pixels (width x height). 8192 x 4320 is 8K."),
    ] = 8192 * 4320
    max_streams: Annotated[int, Meta(ge=1, description="Most tracks accepted in one file.")] = 64
    export_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="How long one export (assets.ndjson, assets.csv) may take, in seconds. For as long the database keeps the catalog as it was when it began.",
        ),
    ] = 1800.0
    send_buffer_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 30,
            description="Send buffer (SO_SNDBUF) of each connection, in bytes; 0 lets the kernel make it as large as the line needs.",
        ),
    ] = 0
    unsent_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 30,
            description="Bytes that a connection may hold which are not on the line yet (TCP_NOTSENT_LOWAT): they are lost when a viewer jumps elsewhere. Who takes them fast gets more, up to 8 MiB. 0: as the kernel is set.",
        ),
    ] = 128 * KIB
    send_idle_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="A client that takes nothing for this long, in seconds, while there is something to send to it is disconnected. A player that pauses longer asks again.",
        ),
    ] = 300.0
    accel_prefix: Annotated[
        str,
        Meta(
            pattern=r"^(/([A-Za-z0-9_-]+/)+)?$",
            description="Where nginx has the stored files (`/_blobs/` in k8s/nginx.conf): it then sends whole ones by itself, if it asks for that (X-Accel-Redirect). Empty: it is told of none.",
        ),
    ] = ""
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
    for name, read in (("trusted_proxies", read_networks), ("cors_origins", read_origins)):
        try:
            read(value := getattr(settings, name))
        except ValueError as error:
            raise InvalidSettings(f"{PREFIX}{name.upper()}={value!r}: {error}") from None
    if len(os.fsencode(settings.unix_socket)) > LONGEST_UNIX_SOCKET:
        raise InvalidSettings(
            f"{PREFIX}UNIX_SOCKET={settings.unix_socket!r}: a socket's path has {LONGEST_UNIX_SOCKET} bytes at most"
        )
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
