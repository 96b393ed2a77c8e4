"""What the ffmpeg of one run may take before it is ended. Pure."""

from __future__ import annotations

import os
from fractions import Fraction

import msgspec

from media_service.ffmpeg.fence import Limits
from media_service.timeline.outline import OutlineRendition
from media_service.work.runs import Run


def allowance(limits: Limits, rendition: OutlineRendition, run: Run, seek: Fraction | None) -> Limits:
    """`limits` for so much of a film, all that is only decoded included: far above what an honest one takes.

    `rendition` is any of the run's. `seek` is from when on the film is decoded (s), None: from its start.
    """
    first, stop = float(rendition.seconds(run.first)), float(rendition.seconds(run.stop))
    begin, count = 0.0 if seek is None else float(seek), len(run.names)
    wall = 600.0 + 30.0 * (stop - begin) * count
    return msgspec.structs.replace(
        limits,
        wall_seconds=wall,
        cpu_seconds=wall * (os.cpu_count() or 1),
        # Nothing comes out before the first segment is reached.
        stall_seconds=limits.stall_seconds + 2 * max(0.0, first - begin),
        output_bytes=(1 << 30) + round(stop - first) * count * (8 << 20),
    )
