"""The client of all deliveries that are measured: many connections in one process, and bodies that nobody looks at.

`python -m bench.load JSON` does one `Job` and prints what came of it as JSON. What is measured is the server, so the
client is cheap: one epoll, requests that are written beforehand, and bodies that the kernel throws away (MSG_TRUNC, tcp(7))
instead of copying them. Its own processor time is in the result: where it takes a whole core, not the server is the limit.
"""

from __future__ import annotations

import json
import random
import select
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass, field
from statistics import quantiles
from typing import Literal

from bench.costs import ticks_seconds

Kind = Literal["ranges", "abandoned", "probe"]
PREPARED = 4096  # requests, at random places; then again from the first
HEAD_BYTES = 1024  # what is looked at of an answer; the rest of it is not
DISCARDED = bytearray(4 << 20)  # the kernel wants a place for what it throws away, and writes nothing there
# The receive buffer of each connection. Left to itself the kernel begins with one that a whole packet of loopback (64 KiB)
# does not fit into, and each end then waits for a delayed acknowledgement of the other (40 ms).
WINDOW_BYTES = 256 << 10
SILENCE_SECONDS = 20.0  # in which no server says a word: something is wrong
TCP_INFO_BYTES_RECEIVED = 128  # where it stands in struct tcp_info (linux/tcp.h)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to ask for: `length` bytes at random places of a file, 0 for the whole of it, by so many connections at once.

    `ranges`: as many as there is time for. `abandoned`: everything from a random place on; once `length` bytes are read the
    viewer is gone, and the next one comes by a connection of its own. `probe`: one after the other, `pause` seconds between.
    `pids` are the server's processes. The first `warm` seconds do not count.
    """

    kind: Kind
    port: int
    path: str
    size: int
    length: int
    pids: list[int]
    connections: int = 1
    warm: float = 0.3
    seconds: float = 2.0
    pause: float = 0.0
    seed: int = 1


@dataclass
class Result:
    """Of the time that counts: whole answers, bytes of bodies that were read, CPU seconds of the server and of the client,
    seconds from each request to the first byte of its answer (p50, p99), and bytes that came and that nobody read."""

    answers: int = 0
    read: int = 0
    unread: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    client_cpu: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    waits: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Whole answers per second."""
        return self.answers / self.seconds

    @property
    def throughput(self) -> float:
        """Bytes of bodies per second, those of unfinished answers too."""
        return self.read / self.seconds

    @property
    def cpu_per_gb(self) -> float:
        """CPU seconds of the server for 10^9 bytes."""
        return self.cpu / (self.read / 1e9)


class Requests:
    """Requests that are written beforehand: the next one, and how long the body of its answer is."""

    def __init__(self, job: Job) -> None:
        places = random.Random(job.seed)  # noqa: S311 # the same places for all
        lines = f"GET {job.path} HTTP/1.1\r\nHost: 127.0.0.1:{job.port}\r\nUser-Agent: bench\r\n"
        self._made: list[tuple[bytes, int]] = []
        self._next = 0
        for _ in range(PREPARED):
            start = places.randrange(0, max(1, job.size - job.length))
            if job.kind == "abandoned":
                start, wanted = start // 2, f"Range: bytes={start // 2}-\r\n"
            elif job.length:
                wanted = f"Range: bytes={start}-{start + job.length - 1}\r\n"
            else:
                wanted = ""
            self._made.append((f"{lines}{wanted}\r\n".encode(), job.length or job.size))
        self.status = b"HTTP/1.1 206 " if job.length else b"HTTP/1.1 200 "

    def take(self) -> tuple[bytes, int]:
        """The next one."""
        self._next = (self._next + 1) % PREPARED
        return self._made[self._next]


class Connection:
    """One connection: of the answer that is under way, `left` bytes of the body are to come; below 0 its head is."""

    __slots__ = ("asked", "begun", "left", "socket")

    def __init__(self, port: int, window: int = 0) -> None:
        self.socket = socket.socket()
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(SILENCE_SECONDS)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = self.asked = 0
        self.begun = 0.0

    def ask(self, requests: Requests) -> None:
        """Send the next request."""
        request, self.asked = requests.take()
        self.left = -1
        self.begun = time.perf_counter()
        if self.socket.send(request) != len(request):
            raise RuntimeError("a request did not fit into an empty socket")

    def read(self, requests: Requests, result: Result) -> bool:
        """Take what is there. True when the answer is whole. Raises RuntimeError when it is not the one that is expected."""
        if self.left < 0:
            # As many bytes as are asked for come first as a rule; a head that comes in two pieces is never seen on loopback.
            head = self.socket.recv(HEAD_BYTES)
            result.waits.append(time.perf_counter() - self.begun)
            stop = head.find(b"\r\n\r\n")
            if stop < 0 or not head.startswith(requests.status):
                raise RuntimeError(f"not the answer that was expected: {head[:300]!r}")
            got = len(head) - stop - 4
            self.left = self.asked - got
        else:
            got = self.socket.recv_into(DISCARDED, min(self.left, len(DISCARDED)), socket.MSG_TRUNC)
            if not got:
                raise RuntimeError(f"the server hung up, {self.left} bytes before the end")
            self.left -= got
        result.read += got
        return self.left <= 0

    def received(self) -> int:
        """Bytes that have come so far, read or not."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int(struct.unpack_from("Q", info, TCP_INFO_BYTES_RECEIVED)[0])


class Load:
    """All connections of a job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._requests = Requests(job)
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._result = Result()
        self._heard = time.perf_counter()

    def run(self) -> Result:
        """Raises RuntimeError when a server does not answer as it should."""
        try:
            return self._measured(self._job)
        finally:
            for connection in self._connections.values():
                connection.socket.close()
            self._poll.close()

    def _measured(self, job: Job) -> Result:
        for _ in range(job.connections):
            self._connect()
        self._until(time.perf_counter() + job.warm)
        self._result = result = Result()
        cpu, own, begun = ticks_seconds(job.pids), time.process_time(), time.perf_counter()
        self._until(begun + job.seconds)
        while not result.read or (job.kind == "abandoned" and not result.answers):
            self._until(time.perf_counter() + job.seconds)  # a slow server, or very much else to do
        result.seconds = time.perf_counter() - begun
        result.cpu, result.client_cpu = ticks_seconds(job.pids) - cpu, time.process_time() - own
        if len(result.waits) > 1:
            hundredths = quantiles(result.waits, n=100, method="inclusive")
            result.p50, result.p99 = hundredths[49], hundredths[98]
        result.waits = []
        return result

    def _until(self, end: float) -> None:
        while (now := time.perf_counter()) < end:
            ready = self._poll.poll(0.1)
            if ready:
                self._heard = now
            elif now > self._heard + SILENCE_SECONDS:
                raise RuntimeError(f"nothing came for {SILENCE_SECONDS} s")
            for descriptor, _ in ready:
                connection = self._connections[descriptor]
                if connection.read(self._requests, self._result):
                    self._result.answers += 1
                    self._after(connection)

    def _after(self, connection: Connection) -> None:
        if self._job.kind == "abandoned":
            head = (
                HEAD_BYTES // 2
            )  # which is received and no part of the body; to know it better is not worth a look
            self._result.unread += max(0, connection.received() - connection.asked - head)
            del self._connections[connection.socket.fileno()]
            connection.socket.close()  # what has not been read makes this a reset, as with browsers
            self._connect()
            return
        if self._job.pause:
            time.sleep(self._job.pause)
        connection.ask(self._requests)

    def _connect(self) -> None:
        connection = Connection(self._job.port, WINDOW_BYTES)
        self._connections[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, select.EPOLLIN)
        connection.ask(self._requests)


if __name__ == "__main__":
    print(json.dumps(asdict(Load(Job(**json.loads(sys.argv[1]))).run())))
