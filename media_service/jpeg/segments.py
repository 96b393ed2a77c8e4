"""The marker segments of a baseline JPEG (ITU-T T.81 Annex B), read strictly: what is not understood is refused, not passed on.

A JPEG is SOI, marker segments up to SOS, entropy-coded data in which 0xFF stands only before a zero, and EOI.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from media_service.errors import BrokenMedia

SOI = b"\xff\xd8"
EOI = b"\xff\xd9"

_SOF0, _DHT, _SOS, _DQT, _COM = 0xC0, 0xC4, 0xDA, 0xDB, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_BASELINE_SCAN = b"\0\x3f\0"  # all coefficients at once, with all their bits (B.2.3)
_MARKER = re.compile(rb"\xff[^\0]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the entropy-coded data: `size` bytes. Sides in pixels.

    `height_at`: where the two bytes of the height are; `scan_at`: where the last segment, SOS, begins. `mcu_width` and
    `mcu_height`: of what is coded together, 16 x 16 pixels at 4:2:0 (A.2.3).
    """

    size: int
    width: int
    height: int
    height_at: int
    scan_at: int
    mcu_width: int
    mcu_height: int

    @property
    def mcus(self) -> int:
        """How many MCUs the picture has; the rightmost and lowest may be filled up (A.2.4)."""
        return -(-self.width // self.mcu_width) * -(-self.height // self.mcu_height)


def read_header(data: bytes) -> Header:
    """The header of the JPEG that begins `data`; what follows it need not be there.

    Raises BrokenMedia for any but a baseline one in a single scan, without restart intervals, with tables of its own.
    """
    if data[:2] != SOI:
        raise BrokenMedia("a JPEG begins with SOI")
    at = 2
    frame, frame_at, tables = None, 0, set[int]()
    marker, payload = _segment(data, at)
    while marker != _SOS:
        if marker == _SOF0 and frame is None:
            frame, frame_at = _read_frame(payload), at
        elif marker in {_DQT, _DHT}:
            tables.add(marker)
        elif marker != _COM and marker not in _APPLICATION:
            raise BrokenMedia(f"marker FF{marker:02X} has no place in a plain baseline JPEG")
        at += 4 + len(payload)
        marker, payload = _segment(data, at)
    if frame is None or len(tables) < 2:
        raise BrokenMedia("the scan of a JPEG comes after its frame and its tables")
    if payload[:1] != bytes((len(frame.components),)) or payload[1:-3:2] != frame.components:
        raise BrokenMedia("a JPEG of several scans is not a plain one")
    if payload[-3:] != _BASELINE_SCAN:
        raise BrokenMedia("the scan is not a baseline one")
    return Header(
        size=at + 4 + len(payload),
        width=frame.width,
        height=frame.height,
        height_at=frame_at + 5,
        scan_at=at,
        mcu_width=frame.mcu_width,
        mcu_height=frame.mcu_height,
    )


def read_jpeg(data: bytes) -> Header:
    """The header of a whole JPEG, of which every byte was looked at. Raises BrokenMedia as `read_header`, and for one that
    does not end where its data does."""
    header = read_header(data)
    end = _MARKER.search(data, header.size)
    if end is None or end[0] != EOI or end.end() != len(data):
        raise BrokenMedia("a JPEG ends with EOI, and has no marker between its scan and that")
    return header


class _Frame(NamedTuple):
    """What SOF0 says (B.2.2); `components`: a byte each."""

    width: int
    height: int
    mcu_width: int
    mcu_height: int
    components: bytes


def _segment(data: bytes, at: int) -> tuple[int, bytes]:
    """Marker and payload of the segment at that place (B.1.1.4)."""
    size = int.from_bytes(data[at + 2 : at + 4], "big")
    payload = data[at + 4 : at + 2 + size]
    if data[at : at + 1] != b"\xff" or size < 2 or len(payload) != size - 2:
        raise BrokenMedia(f"no whole marker segment stands at byte {at} of a JPEG")
    return data[at + 1], payload


def _read_frame(payload: bytes) -> _Frame:
    count = payload[5] if len(payload) > 5 else 0
    if count not in {1, 3} or len(payload) != 6 + 3 * count or payload[0] != 8:
        raise BrokenMedia("a frame has one or three components of eight bits")
    height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    factors = [divmod(byte, 16) for byte in payload[7::3]]
    if not width or not height or not all(1 <= side <= 4 for pair in factors for side in pair):
        raise BrokenMedia("a frame has sides and sampling factors")
    # A single component is not interleaved: its MCU is one block, whatever its factors (A.2.2).
    across, down = map(max, zip(*factors, strict=True)) if count > 1 else (1, 1)
    return _Frame(width, height, 8 * across, 8 * down, payload[6::3])
