"""The client that judges services judges rightly: of one that loses bytes, invents some, or is not there for a while."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.patient_client import Interrupted, PatientClient
from tests.support.upstream import Handler, Upstream, running_upstream

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


class Tus:
    """A service that holds `offset` bytes, or says so."""

    def __init__(self, upstream: Upstream) -> None:
        self.offset = 0
        self.status = 204
        upstream.answer = self.answer

    def answer(self, handler: Handler) -> None:
        if handler.command == "PATCH":
            body = handler.rfile.read(int(handler.headers["Content-Length"]))
            assert int(handler.headers["Upload-Offset"]) == self.offset
            self.offset += len(body) if self.status == 204 else 0
        status = 201 if handler.command == "POST" else self.status
        handler.head(status, location="/api/v1/uploads/x", upload_offset=str(self.offset), content_length="0")


@pytest.fixture
def tus(upstream: Upstream) -> Tus:
    return Tus(upstream)


@pytest.fixture
def client() -> PatientClient:
    return PatientClient(CONTENT, token="t", key="k")


def test_it_sends_everything_once(upstream: Upstream, tus: Tus, client: PatientClient) -> None:
    while not client.complete:
        client.go_on(upstream.port, most=30_000)
    assert client.sent == tus.offset == len(CONTENT)
    assert [asked.method for asked in upstream.asked] == ["POST", "HEAD", *["PATCH"] * 4]


def test_after_a_refusal_it_asks_where_it_stands(upstream: Upstream, tus: Tus, client: PatientClient) -> None:
    client.go_on(upstream.port, most=30_000)
    tus.status = 503
    with pytest.raises(Interrupted):
        client.go_on(upstream.port)
    tus.status = 204
    client.go_on(upstream.port)
    assert client.complete
    assert [asked.method for asked in upstream.asked[-3:]] == ["PATCH", "HEAD", "PATCH"]


def test_it_notices_that_acknowledged_bytes_are_gone(
    upstream: Upstream, tus: Tus, client: PatientClient
) -> None:
    client.go_on(upstream.port, most=30_000)
    tus.offset = 29_999
    with pytest.raises(AssertionError, match="30000 bytes were acknowledged, now it is 29999"):
        client.look(upstream.port)


def test_it_notices_bytes_that_nobody_sent(upstream: Upstream, tus: Tus, client: PatientClient) -> None:
    client.go_on(upstream.port, most=30_000)
    tus.offset = 30_001
    with pytest.raises(AssertionError, match="30001 bytes are told, 30000 were sent"):
        client.look(upstream.port)


def test_another_refusal_fails_the_test(upstream: Upstream, tus: Tus, client: PatientClient) -> None:
    tus.status = 404
    with pytest.raises(AssertionError, match="404"):
        client.go_on(upstream.port)
