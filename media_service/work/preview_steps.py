"""Runs that make previews -> those that are kept together, and what each of them may take."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from media_service.ffmpeg.fence import PROBE_LIMITS, Limits
from media_service.timeline.preview_plan import Stretch

PACK_BYTES = 1 << 30  # through the pipe of one run, far above what a thousand tiles take
# The first step: so much film is decoded until what was made of it is shown, and kept whatever happens.
STEP_SECONDS = 900.0
# What passes over keyframes only gets on so much faster.
QUICK_STEP_SECONDS = 4 * STEP_SECONDS


def steps(runs: Sequence[Stretch]) -> list[list[Stretch]]:
    """Runs to be kept together: those that pass over the film quickly first, then those that decode it."""
    quick = [run for run in runs if run.how != "frames"]
    slow = [run for run in runs if run.how == "frames"]
    return [*_cut(quick, QUICK_STEP_SECONDS), *_cut(slow, STEP_SECONDS)]


def _cut(runs: Sequence[Stretch], seconds: float) -> list[list[Stretch]]:
    """Steps of so much film, each as long as all before it: keeping one copies the pack, which in equal steps would cost the
    square of the film's length.
    """
    made: list[list[Stretch]] = []
    done, until = 0.0, 0.0
    for run in runs:
        if done >= until:
            made.append([])
            until = max(seconds, 2 * done)
        made[-1].append(run)
        done += float(run.stop - run.starts[0])
    return made


def allowance(limits: Limits, run: Stretch) -> Limits:
    """What one run may take, far above what an honest one does."""
    seconds = 300.0 + 30.0 * float(run.stop - (run.seeks[0] or 0))
    return msgspec.structs.replace(
        limits,
        memory_bytes=PROBE_LIMITS.memory_bytes,
        wall_seconds=seconds,
        cpu_seconds=seconds * (os.cpu_count() or 1),
        stall_seconds=limits.stall_seconds + 120.0,
        output_bytes=PACK_BYTES,
    )
