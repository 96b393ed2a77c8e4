"""ffmpeg's `-progress` output: `key=value` lines, each report closed by a `progress=` line."""

from __future__ import annotations

import msgspec

LONGEST_LINE = 4096  # bytes; real ones have under 40


class Progress(msgspec.Struct, frozen=True):
    """How far a run is. `out_seconds` is how much of the film has come out, of the furthest stream."""

    frame: int = 0
    out_seconds: float = 0.0
    finished: bool = False


class ProgressParser:
    """Push parser: `feed(data)` takes any split of the bytes and returns the reports completed by them."""

    def __init__(self) -> None:
        self._rest = b""
        self._values: dict[bytes, bytes] = {}

    def feed(self, data: bytes) -> list[Progress]:
        """The reports that `data` completes, oldest first. Lines that are none are passed over."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
        reports: list[Progress] = []
        for line in lines:
            key, _, value = line.strip().partition(b"=")
            if key == b"progress":
                reports.append(self._report(finished=value == b"end"))
                self._values.clear()
            elif key in {b"frame", b"out_time_us"}:
                self._values[key] = value
        return reports

    def _report(self, *, finished: bool) -> Progress:
        return Progress(
            frame=self._number(b"frame"),
            out_seconds=self._number(b"out_time_us") / 1e6,
            finished=finished,
        )

    def _number(self, key: bytes) -> int:
        # "N/A" before the first packet, and -9223372036854775807 for a time that is not known yet.
        value = self._values.get(key, b"")
        return int(value) if value.isdigit() and len(value) < 19 else 0
