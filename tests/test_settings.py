"""Settings from the environment, and the table of them in docs/settings.md."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from media_service.settings import PREFIX, InvalidSettings, Settings, load, unknown

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}


def test_without_any_variable_the_defaults_hold() -> None:
    assert load({}) == Settings()
    assert load({"PATH": "/usr/bin", "PORT": "1"}) == Settings()


def test_variables_are_read_by_the_type_of_their_field() -> None:
    settings = load(
        {
            "MEDIA_SERVICE_HOST": "::1",
            "MEDIA_SERVICE_PORT": "0",
            "MEDIA_SERVICE_DATA_DIR": "/srv/films",
            "MEDIA_SERVICE_UPLOAD_IDLE_SECONDS": "1.5",
            "MEDIA_SERVICE_ADMIN_TOKEN": "0123",
        }
    )
    assert (settings.host, settings.port, settings.data_dir) == ("::1", 0, Path("/srv/films"))
    assert settings.upload_idle_seconds == 1.5
    assert settings.admin_token == "0123"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", ""),
        ("PORT", "tcp://10.0.0.1:80"),  # what Kubernetes sets for a Service of our name
        ("MAX_UPLOAD_BYTES", "64G"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("UPLOAD_IDLE_SECONDS", "0"),
        ("UPLOAD_IDLE_SECONDS", "nan"),
        ("TRANSCODE_WORKERS", "65"),
        ("TRANSCODE_MEMORY_BYTES", "1024"),
        ("LOG_LEVEL", "loud"),
        ("PLAYBACK", "private"),
        ("UNIX_SOCKET", "/run/" + 103 * "x"),
        ("UNIX_SOCKET", "/run/" + 52 * "ä"),  # bytes are counted
        ("WORKERS", "0"),
        ("WORKERS", "65"),
        ("SEND_BUFFER_BYTES", "-1"),
        ("UNSENT_BYTES", "128k"),
        ("UNSENT_BYTES", str(1 << 31)),  # the kernel's number is an int
        ("SEND_IDLE_SECONDS", "0"),
        ("TRUSTED_PROXIES", "localhost"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"MEDIA_SERVICE_{name}={re.escape(repr(value))}"):
        load({f"MEDIA_SERVICE_{name}": value})


def test_misspelt_variables_are_found() -> None:
    environ = {
        "MEDIA_SERVICE_MAX_UPLAOD_BYTES": "1",
        "MEDIA_SERVICE_PORT": "1",
        "MEDIA_SERVICE_port": "1",
        "HOME": "/",
    }
    assert unknown(environ) == ["MEDIA_SERVICE_MAX_UPLAOD_BYTES", "MEDIA_SERVICE_port"]
    assert load({"MEDIA_SERVICE_port": "1"}) == Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc] # that it is refused is what is tested


def test_what_is_secret_is_not_shown() -> None:
    assert "s3cr3t" not in repr(Settings(admin_token="s3cr3t", signing_keys="k1:s3cr3t"))


def test_signing_keys_that_do_not_fit_are_named_and_not_shown() -> None:
    with pytest.raises(InvalidSettings, match=r"^MEDIA_SERVICE_SIGNING_KEYS: .*'k1' has 8 bytes") as caught:
        load({"MEDIA_SERVICE_SIGNING_KEYS": "k1:c2VjcmV0ISE"})
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_says_why_it_exists(name: str) -> None:
    meta = next(item for item in FIELDS[name].type.__metadata__ if isinstance(item, msgspec.Meta))
    assert meta.description
    assert meta.description.endswith(".")


def documented() -> dict[str, tuple[str, str]]:
    """Name -> (default, description) of the table."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {name: (default.strip("`"), description) for name, default, description in rows}


def test_the_document_lists_every_setting_in_order() -> None:
    assert list(documented()) == [f"{PREFIX}{name.upper()}" for name in FIELDS]


@pytest.mark.parametrize("name", FIELDS)
def test_the_document_agrees_with_the_code(name: str) -> None:
    default, description = documented()[f"{PREFIX}{name.upper()}"]
    meta = next(item for item in FIELDS[name].type.__metadata__ if isinstance(item, msgspec.Meta))
    assert description == meta.description
    read = load({f"{PREFIX}{name.upper()}": default}) if default else Settings()
    assert getattr(read, name) == getattr(Settings(), name)
