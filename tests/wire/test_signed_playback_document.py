"""docs/signed-playback.md: its snippets make the very tokens that the service makes, and its examples are true."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from media_service.wire.signatures import MAX_HEIGHT, MAX_NUMBER, PlaybackToken, read, read_keys, sign, verify
from tests.wire.tokens import ASSET, FULL, KEY, TOKEN

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "signed-playback.md"
FENCE = "`" * 3

TOKENS = [
    TOKEN,
    FULL,
    replace(TOKEN, not_before=0),
    replace(TOKEN, window=(0, 1)),
    replace(TOKEN, max_height=1),
    replace(FULL, not_before=None),
    replace(FULL, window=None),
    replace(FULL, max_height=None),
    PlaybackToken(asset_id="0", expires_at=1, key_id="-"),
    PlaybackToken(
        asset_id="z" * 64,
        expires_at=MAX_NUMBER,
        key_id="2026-11-20-00000",
        not_before=MAX_NUMBER - 1,
        window=(MAX_NUMBER - 1, MAX_NUMBER),
        max_height=MAX_HEIGHT,
    ),
]

# What a snippet's function makes of each line of standard input.
DRIVERS = {
    "python": """
import json, sys
for line in sys.stdin:
    print(playback_token(**json.loads(line), key=bytes.fromhex(sys.argv[1])))
""",
    "js": """
import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin })) {
  const { asset_id, expires_at, key_id, not_before, window, max_height } = JSON.parse(line);
  console.log(playbackToken({
    assetId: asset_id, expiresAt: expires_at, keyId: key_id, key: Buffer.from(process.argv[2], "hex"),
    notBefore: not_before, window, maxHeight: max_height,
  }));
}
""",
}
LANGUAGES = pytest.mark.parametrize("language", DRIVERS)


def snippets(language: str) -> tuple[str, str]:
    """The one that makes tokens, and the one that uses it."""
    function, usage = re.findall(
        rf"^{FENCE}{language}\n(.*?)^{FENCE}$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )
    return function, usage


def run(language: str, code: str, directory: Path, *argv: str, given: str = "", **environ: str) -> list[str]:
    """The lines that the program prints."""
    program = {"python": sys.executable, "js": shutil.which("node")}[language]
    if program is None:
        pytest.skip("node is absent")
    file = directory / {"python": "snippet.py", "js": "snippet.mjs"}[language]
    file.write_text(code)
    done = subprocess.run(
        [program, str(file), *argv], input=given, env=environ, capture_output=True, text=True, check=False
    )
    assert not done.stderr
    return done.stdout.splitlines()


@LANGUAGES
def test_the_snippets_make_the_tokens_that_the_service_makes(language: str, tmp_path: Path) -> None:
    given = "".join(json.dumps(asdict(token)) + "\n" for token in TOKENS)
    function, _ = snippets(language)

    made = run(language, function + DRIVERS[language], tmp_path, KEY.hex(), given=given)

    assert made == [sign(token, KEY) for token in TOKENS]


@LANGUAGES
def test_the_snippets_print_an_address_that_plays(language: str, tmp_path: Path) -> None:
    [entry] = re.findall(r"the key `(.*?)`", DOCUMENT.read_text())

    [address] = run(language, "".join(snippets(language)), tmp_path, SIGNING_KEY=entry, ASSET_ID=ASSET)

    found = re.fullmatch(rf"https://media\.example/t/([^/]+)/media/{ASSET}/hls/master\.m3u8", address)
    assert found
    token = verify(found[1], read_keys(entry), now=time.time(), asset_id=ASSET)
    assert token.max_height == 720
    assert token.expires_at - time.time() == pytest.approx(6 * 3600, abs=60)


def test_the_tokens_for_trying_are_what_they_are_said_to_be() -> None:
    text = DOCUMENT.read_text()
    [entry] = re.findall(r"the key `(.*?)`", text)
    rows = re.findall(r"^\| (\d+) \| (\d*) ?\| ([\d, ]*?) ?\| (\d*) ?\| `(.*)` \|$", text, re.MULTILINE)

    said = [
        PlaybackToken(
            asset_id=ASSET,
            expires_at=int(expires_at),
            key_id="k1",
            not_before=int(not_before) if not_before else None,
            window=(int(window.split(", ")[0]), int(window.split(", ")[1])) if window else None,
            max_height=int(max_height) if max_height else None,
        )
        for expires_at, not_before, window, max_height, _ in rows
    ]

    assert said == [TOKEN, FULL]
    assert [row[-1] for row in rows] == [sign(token, read_keys(entry)["k1"]) for token in said]
    assert ASSET in text


def test_the_command_for_a_new_key_makes_one() -> None:
    [command] = re.findall(r"^ {4}python3 -c '(.*)'$", DOCUMENT.read_text(), re.MULTILINE)

    made = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout

    [(key_id, key)] = read_keys(made).items()
    token = PlaybackToken(asset_id=ASSET, expires_at=1, key_id=key_id)
    assert read(sign(token, key)) == token
