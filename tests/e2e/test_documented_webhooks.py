"""docs/webhooks.md: its receivers take what the service sends, and nothing else; its tables are true."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from media_service.store.webhooks import EVENTS, MAX_WEBHOOKS
from media_service.wire.webhook_signatures import signed_headers, write_secret
from media_service.wire.webhook_targets import read_target
from media_service.work.webhook_calls import CALL_SECONDS, Caller
from media_service.work.webhooks import KEPT_SECONDS, WAIT_SECONDS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"
FENCE = "`" * 3
SECRET = write_secret(bytes(range(32)))
OTHER = write_secret(bytes(range(1, 33)))
BODY = '{"type": "asset.ready", "data": {"id": "film", "title": "Sch\u00f6n"}}'.encode()


class Running:
    """A receiver of the document in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{self.line().rpartition(' ')[2]}/films"

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def send(self, headers: dict[str, str], body: bytes = BODY) -> int:
        """The status of its answer."""
        return httpx.post(self.url, headers=headers, content=body, timeout=10).status_code


@pytest.fixture(params=["python", "js"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    program = {"python": sys.executable, "js": shutil.which("node")}[request.param]
    if program is None:
        pytest.skip("node is absent")
    [code] = re.findall(
        rf"^{FENCE}{request.param}\n(.*?)^{FENCE}$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )
    file = tmp_path / {"python": "receiver.py", "js": "receiver.mjs"}[request.param]
    file.write_text(code)
    environ = {"PATH": os.environ["PATH"], "WEBHOOK_SECRET": SECRET, "PORT": "0"}
    with subprocess.Popen(
        [program, str(file)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def signed(secret: str = SECRET, *, name: str = "msg_1", age: int = 0) -> dict[str, str]:
    return signed_headers(secret, name, int(time.time()) - age, BODY)


async def test_what_the_service_sends_is_taken(receiver: Running) -> None:
    async with Caller(private_targets=True) as caller:
        outcome = await caller.call(read_target(receiver.url), signed(), BODY)
    assert outcome.status == 204
    assert await asyncio.to_thread(receiver.line) == "asset.ready film"


def test_what_comes_twice_is_done_once(receiver: Running) -> None:
    assert [receiver.send(signed()) for _ in range(3)] == [204] * 3
    assert receiver.send(signed(name="msg_2")) == 204
    assert receiver.send(signed(name="msg_3"), BODY) == 204
    assert [receiver.line() for _ in range(3)] == ["asset.ready film"] * 3


def test_what_is_forged_edited_or_old_is_refused(receiver: Running) -> None:
    good = signed()
    refused = [
        {},
        signed(OTHER),
        signed(age=400),
        signed(age=-400),
        {**good, "webhook-id": "msg_2"},
        {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)},
        {**good, "webhook-timestamp": "now"},
        {**good, "webhook-timestamp": ""},
        {**good, "webhook-signature": ""},
        {**good, "webhook-signature": "v1,"},
        {**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v1a,")},
        {name: value for name, value in good.items() if name != "webhook-signature"},
        {name: value for name, value in good.items() if name != "webhook-timestamp"},
    ]
    assert [receiver.send(headers) for headers in refused] == [400] * len(refused)
    assert receiver.send(good, BODY + b" ") == 400
    several = f"v1,AAAA {good['webhook-signature']} v2,x"
    assert receiver.send({**good, "webhook-signature": several}) == 204


def test_its_numbers_and_events_are_those_of_the_code() -> None:
    text = " ".join(DOCUMENT.read_text().split())
    assert set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", DOCUMENT.read_text(), re.MULTILINE)) == set(EVENTS)
    assert "5 s, 30 s, 2 min, 10 min, 1 h, 6 h and 24 h" in text
    assert WAIT_SECONDS == (5, 30, 2 * 60, 10 * 60, 3600, 6 * 3600, 24 * 3600)
    assert f"no answer within {CALL_SECONDS:g} s" in text
    assert f"at most {MAX_WEBHOOKS}" in text
    assert f"until {KEPT_SECONDS // 86400} days after" in text
