"""Viewers who read slowly: `python -m bench.slow_clients PORT PATH SIZE READERS RATE`, in a process of its own.

Each has a connection, asks for everything from some place on, and reads RATE bytes once a second, one after the other.
Prints a line when each has something; then one for each line that it is given: what they hold and what they have read so
far, as JSON. Ends when its input does.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

from bench.load import DISCARDED, HEAD_BYTES

SLICES = 50  # in a second: so many readers each 20 ms, not all at once
SO_MEMINFO = (
    55  # asm-generic/socket.h; u32 each: receive buffer in use, its bound, ..., [4] set aside, [5] to be sent
)
CONNECT_SECONDS = 60.0


class Reader:
    """One viewer."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=CONNECT_SECONDS)
        self.socket.settimeout(0)
        self.socket.send(request)
        self.read = 0

    def turn(self, rate: int) -> None:
        """Read a second's bytes, as far as they are there. Raises RuntimeError when there is no film."""
        try:
            if not self.read:
                head = self.socket.recv(HEAD_BYTES)
                if not head.startswith(b"HTTP/1.1 206 "):
                    raise RuntimeError(f"not the answer that was expected: {head[:300]!r}")
                self.read = len(head)
            self.read += self.socket.recv_into(DISCARDED, rate, socket.MSG_TRUNC)
        except BlockingIOError:
            return

    def kernel_bytes(self) -> int:
        """What the kernel holds for this end of the connection."""
        info = struct.unpack_from("6I", self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 64))
        return int(info[0] + info[4] + info[5])


def main(port: int, path: str, size: int, count: int, rate: int) -> None:
    """Raises RuntimeError when a server does not answer as it should."""
    readers: list[Reader] = []
    told, begun, part = False, time.monotonic(), 0
    while True:
        for _ in range(max(1, count // SLICES)):  # all are there after a second, as the first begin to read
            if len(readers) < count:
                start = size // 2 * len(readers) // count
                request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nRange: bytes={start}-\r\n\r\n"
                readers.append(Reader(port, request.encode()))
        for reader in readers[part % SLICES :: SLICES]:
            reader.turn(rate)
        part += 1
        if not told and len(readers) == count and all(reader.read for reader in readers):
            told = True
            print("begun", flush=True)
        left = begun + part / SLICES - time.monotonic()
        if select.select([sys.stdin], [], [], max(0.0, left))[0]:
            if not sys.stdin.readline():
                return
            held = sum(reader.kernel_bytes() for reader in readers)
            print(json.dumps({"held": held, "read": sum(reader.read for reader in readers)}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
