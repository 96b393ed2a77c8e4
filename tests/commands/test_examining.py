"""The command line's `doctor`: lines for people, JSON for programs, and an exit code."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from media_service.commands import examining
from media_service.commands.examining import doctor
from media_service.commands.keys import keys
from media_service.doctor.findings import Finding


def test_what_is_amiss_is_a_line_and_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding("ok", "all is [red]well\x1b[2J"), Finding("BAD", "plays nothing", about="Safari")]
    monkeypatch.setattr(examining, "examine", lambda _: found)
    told = CliRunner().invoke(doctor)
    assert told.output.splitlines() == [
        "ok    all is [red]well\N{REPLACEMENT CHARACTER}[2J",
        "BAD   Safari: plays nothing",
    ]
    assert told.exit_code == 1
    told = CliRunner().invoke(doctor, ["--json"])
    assert json.loads(told.output) == {
        "well": False,
        "findings": [
            {"level": "ok", "text": "all is [red]well\x1b[2J", "about": ""},
            {"level": "BAD", "text": "plays nothing", "about": "Safari"},
        ],
    }
    monkeypatch.setattr(examining, "examine", lambda _: found[:1])
    assert CliRunner().invoke(doctor).exit_code == 0


def test_an_address_is_tried_with_the_key_that_is_given_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, str]] = []

    def note(url: str, key: str) -> list[Finding]:
        tried.append((url, key))
        return []

    monkeypatch.setattr(examining, "try_address", note)
    environment = {
        "MEDIA_SERVICE_DATA_DIR": str(tmp_path / "not here"),
        "MEDIA_SERVICE_ADMIN_TOKEN": "the admin's",
    }
    for arguments, given in (([], ""), (["--key", "msk_1"], ""), (["--key", "-"], "msk_2\n")):
        told = CliRunner().invoke(doctor, ["https://films.example", *arguments], env=environment, input=given)
        assert told.exit_code == 0, told.output
    # Never the admin token, which nobody gave for this.
    assert [key for _, key in tried] == ["", "msk_1", "msk_2"]
    assert not (tmp_path / "not here").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_who_ends_it_leaves_no_key_and_the_next_one_revokes_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    environment = {"MEDIA_SERVICE_DATA_DIR": str(tmp_path)}

    def names() -> list[str]:
        listed = CliRunner().invoke(keys, ["list", "--json"], env=environment)
        return [key["name"] for key in json.loads(listed.output)]

    for name in ("doctor 0123abcd", "doctor 4567abcd", "doctor who"):
        CliRunner().invoke(keys, ["add", name, "--scope", "read"], env=environment)
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite3")) as catalog, catalog:
        catalog.execute("UPDATE api_keys SET created_at = 1 WHERE name IN ('doctor 0123abcd', 'doctor who')")
    seen: list[str] = []

    def visit(*_: object) -> list[Finding]:
        seen.extend(names())
        os.kill(os.getpid(), number)
        pytest.fail("it goes on")

    monkeypatch.setattr(examining, "try_address", visit)
    before = signal.getsignal(number)
    told = CliRunner().invoke(doctor, ["https://films.example"], env=environment)
    assert told.exit_code == 128 + number
    assert signal.getsignal(number) is before
    assert len(seen) == 3
    assert set(names()) == {"doctor 4567abcd", "doctor who"} == set(seen) - set(seen[-1:])


def test_what_is_no_address_is_said(tmp_path: Path) -> None:
    told = CliRunner().invoke(doctor, ["films.example"], env={"MEDIA_SERVICE_DATA_DIR": str(tmp_path)})
    assert told.exit_code == 1
    assert "no address like https://films.example" in told.output
