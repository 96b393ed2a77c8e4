"""A hundred resumable uploads over lines that are cut, stall, lose answers and tear requests into single bytes.

Each upload meets its own faults at its own places, all from its number. Half of the lines lead through nginx.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.support.fault_proxy import FaultProxy, Faults, running_fault_proxy
from tests.support.films import Film, Films
from tests.support.nginx import running_nginx
from tests.support.patient_client import Interrupted, PatientClient
from tests.support.resumable import finished, vary
from tests.support.server import Server, running_server

LINES = 8
KIB = 1 << 10
PATIENCE_SECONDS = 1.0  # then a client takes a silent line for dead
ATTEMPTS = 40


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("service"), transcode_workers=0) as running:
        yield running


@pytest.fixture
def lines(service: Server, tmp_path: Path) -> Iterator[list[FaultProxy]]:
    with ExitStack() as stack:
        nginx = stack.enter_context(running_nginx(tmp_path / "nginx", service.port))
        ends = [service.port, nginx.port] * (LINES // 2)
        yield [stack.enter_context(running_fault_proxy(port)) for port in ends]


def troubles(chance: random.Random, size: int) -> Iterator[Faults]:
    """One to four bad lines, and then a good one for as long as it takes."""
    somewhere = chance.randrange(1, size)
    for _ in range(chance.randint(1, 4)):
        yield chance.choice(
            [
                {"cut_up": somewhere},  # in the body, or in the head
                {"cut_up": chance.randrange(200, 2000), "slice": 1},  # torn heads
                {"cut_up": chance.randrange(2000, 30_000), "slice": chance.randrange(1, 40)},
                {"cut_up": somewhere, "latency_ms": 2, "jitter_ms": 10, "slice": 16 * KIB},
                {"cut_down": chance.randrange(1, 400)},  # the answer is lost, what was sent has arrived
                {"fin_down": chance.randrange(1, 200)},
                {"stall_up": somewhere},  # the service sees neither bytes nor an end: a half-open connection
                {"stall_down": chance.randrange(1, 200)},
                {"refuse": 1},
                {"http_status": 503, "retry_after": 1},
            ]
        )
    while True:
        yield {}


def upload(line: FaultProxy, token: str, film: bytes, number: int) -> PatientClient:
    """Whatever it takes."""
    client = PatientClient(film, token=token, key=f"upload-{number}", patience=PATIENCE_SECONDS)
    for _, faults in zip(range(ATTEMPTS), troubles(random.Random(number), len(film)), strict=False):
        line.set(faults)
        try:
            client.go_on(line.port)
        except Interrupted:
            continue
        if client.complete:
            return client
    raise AssertionError(f"upload {number} has {client.told} of {len(film)} bytes after {ATTEMPTS} attempts")


@pytest.mark.parametrize("uploads", [40, pytest.param(100, marks=pytest.mark.torture)])
def test_uploads_over_bad_lines_arrive_and_no_acknowledged_byte_is_sent_twice(
    service: Server, lines: list[FaultProxy], films: Films, uploads: int
) -> None:
    film = films.film(Film(seconds=1, size=(160, 90))).read_bytes()
    free: SimpleQueue[FaultProxy] = SimpleQueue()
    for line in lines:
        free.put(line)

    def one(number: int) -> tuple[int, int]:
        size = random.Random(number).randrange(300 * KIB, 2048 * KIB)
        content = vary(film, size, number)
        line = free.get()
        try:
            uploaded = upload(line, service.token, content, number)
        finally:
            free.put(line)
        with service.client() as client:
            asset = finished(client, uploaded.path)
        assert (asset["sha256"], asset["size"]) == (hashlib.sha256(content).hexdigest(), size)
        return size, uploaded.sent

    with ThreadPoolExecutor(LINES) as pool:
        done = list(pool.map(one, range(uploads)))
    # That no acknowledged byte is sent again is asserted at each request (patient_client.py). What is sent again was
    # handed to a socket and had not arrived, or nobody knew that it had.
    wanted, sent = (sum(column) for column in zip(*done, strict=True))
    injected = [line.stats() for line in lines]
    print(
        f"{uploads} uploads, {wanted >> 20} MiB; sent {sent / wanted:.3f} times; "
        f"{sum(each['cuts'] for each in injected)} cuts, {sum(each['injected'] for each in injected)} 503s"
    )
    with service.client() as client:
        assert client.get("/readyz").status_code == 200
    assert "Traceback" not in service.log_text(1 << 20)
