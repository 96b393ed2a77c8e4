"""Which level of H.264 a picture needs (ITU-T H.264, table A-1 and s. A.3), so that its codec string is known beforehand.

A player decides by the level whether it can decode at all: too low a number and it may fail in the middle of the film, too
high a one and it never begins.
"""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

HIGH_FACTOR = (
    1250  # cpbBrVclFactor of the High profile (table A-2): its bit rates are in units of this many bits/s
)


class _Level(NamedTuple):
    idc: int  # level_idc: ten times the level's number
    macroblocks_per_second: int  # MaxMBPS
    macroblocks: int  # MaxFS
    rate: int  # MaxBR, in units of HIGH_FACTOR
    buffer: int  # MaxCPB, likewise


# Without 1b, which High writes as 9 and players write in three ways; who needs it gets 1.1.
_LEVELS = (
    _Level(10, 1_485, 99, 64, 175),
    _Level(11, 3_000, 396, 192, 500),
    _Level(12, 6_000, 396, 384, 1_000),
    _Level(13, 11_880, 396, 768, 2_000),
    _Level(20, 11_880, 396, 2_000, 2_000),
    _Level(21, 19_800, 792, 4_000, 4_000),
    _Level(22, 20_250, 1_620, 4_000, 4_000),
    _Level(30, 40_500, 1_620, 10_000, 10_000),
    _Level(31, 108_000, 3_600, 14_000, 14_000),
    _Level(32, 216_000, 5_120, 20_000, 20_000),
    _Level(40, 245_760, 8_192, 20_000, 25_000),
    _Level(41, 245_760, 8_192, 50_000, 62_500),
    _Level(42, 522_240, 8_704, 50_000, 62_500),
    _Level(50, 589_824, 22_080, 135_000, 135_000),
    _Level(51, 983_040, 36_864, 240_000, 240_000),
    _Level(52, 2_073_600, 36_864, 240_000, 240_000),
    _Level(60, 4_177_920, 139_264, 240_000, 240_000),
    _Level(61, 8_355_840, 139_264, 480_000, 480_000),
    _Level(62, 16_711_680, 139_264, 800_000, 800_000),
)


def level_for(width: int, height: int, frame_rate: float, *, bits_per_second: int, buffer_bits: int) -> int:
    """level_idc (31 is level 3.1) of the lowest level that holds such pictures (pixels, frames/s) in the High profile.

    `bits_per_second` and `buffer_bits` are the rate control's bounds. The highest level there is for what exceeds all.
    """
    across, down = -(-width // 16), -(-height // 16)
    for level in _LEVELS:
        if (
            across * down <= level.macroblocks
            and max(across, down) <= isqrt(8 * level.macroblocks)  # s. A.3.1: no picture is all breadth
            and across * down * frame_rate <= level.macroblocks_per_second
            and bits_per_second <= level.rate * HIGH_FACTOR
            and buffer_bits <= level.buffer * HIGH_FACTOR
        ):
            return level.idc
    return _LEVELS[-1].idc
