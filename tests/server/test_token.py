"""The admin token and the key of playback tokens are given, or made once; they are never empty."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from media_service.server.token import SIGNING_KEY_FILE, TOKEN_FILE, TokenUnusable, admin_token, signing_keys
from media_service.wire.signatures import read_keys


def test_a_given_token_counts_and_nothing_is_kept(tmp_path: Path) -> None:
    assert admin_token("open-sesame", tmp_path) == "open-sesame"
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_can_be_guessed_is_warned_of_and_not_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    admin_token("open-sesame", tmp_path)
    assert "MEDIA_SERVICE_ADMIN_TOKEN is short" in caplog.text
    assert "open-sesame" not in caplog.text
    caplog.clear()
    admin_token("x" * 32, tmp_path)
    admin_token("", tmp_path)
    assert caplog.text == ""


def test_the_line_end_of_a_secret_file_is_no_part_of_the_token(tmp_path: Path) -> None:
    assert admin_token("open-sesame\n", tmp_path) == "open-sesame"


def test_without_one_a_token_is_made_printed_and_kept_for_our_user_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = admin_token("", tmp_path)
    assert len(token) == 32
    assert token in capsys.readouterr().out
    assert stat.S_IMODE((tmp_path / TOKEN_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [TOKEN_FILE]


def test_the_next_start_has_the_same_token_and_does_not_print_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = admin_token("", tmp_path)
    capsys.readouterr()
    assert admin_token("", tmp_path) == token
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["", "\n", "\xa0", "two words", "caf\u00e9", "a\x00b"])
def test_a_kept_token_that_cannot_be_one_stops_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / TOKEN_FILE).write_text(text)
    with pytest.raises(TokenUnusable, match=TOKEN_FILE):
        admin_token("", tmp_path)


@pytest.mark.parametrize("text", [" ", "two words", "caf\u00e9"])
def test_a_given_token_that_cannot_be_one_stops_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(TokenUnusable, match="MEDIA_SERVICE_ADMIN_TOKEN"):
        admin_token(text, tmp_path)


def test_a_signing_key_is_given_or_made_once_and_kept_for_our_user_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signing_keys("k1:given", tmp_path) == "k1:given"
    assert list(tmp_path.iterdir()) == []
    made = signing_keys("", tmp_path)
    assert [len(key) for key in read_keys(made).values()] == [32]
    assert stat.S_IMODE((tmp_path / SIGNING_KEY_FILE).stat().st_mode) == 0o600
    assert signing_keys("", tmp_path) == made
    assert capsys.readouterr().out == ""
