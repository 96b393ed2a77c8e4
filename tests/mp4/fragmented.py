"""Fragmented files taken apart and put together again with our own pieces, as the service does."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from media_service.mp4.boxes import BoxCutter
from media_service.mp4.fragments import Fragment, build_fragment, read_fragment
from media_service.mp4.init_segment import InitTrack, build_init, read_init


@dataclass
class Fragmented:
    """One track as ffmpeg wrote it: each fragment with its payload."""

    init: InitTrack
    fragments: list[tuple[Fragment, bytes]]

    def rebuilt(self) -> bytes:
        """Our own file of the same fragments."""
        parts = [build_init(self.init)]
        for number, (fragment, payload) in enumerate(self.fragments, 1):
            parts.append(
                build_fragment(
                    sequence=number,
                    track_id=fragment.track_id,
                    base_time=fragment.base_time,
                    samples=fragment.samples,
                )
            )
            parts.append(payload)
        return b"".join(parts)


def take_apart(path: Path, *, from_time: int | None = None) -> Fragmented:
    """Read `path` as it would come through a pipe; drop what is decoded before `from_time`."""
    cutter = BoxCutter(1 << 24)
    data = path.read_bytes()
    boxes = [box for at in range(0, len(data), 5000) for box in cutter.feed(data[at : at + 5000])]
    cutter.finish()
    init = read_init(b"".join(box.data for box in boxes if box.type in {"ftyp", "moov"}))
    fragments = []
    for moof, mdat in itertools.pairwise(boxes):
        if moof.type == "moof":
            fragment = read_fragment(moof.data)
            if from_time is not None:
                fragment = _from_time(fragment, from_time)
            start = fragment.data_offset - len(moof.data)
            fragments.append((fragment, mdat.data[start : start + fragment.size]))
    return Fragmented(init, fragments)


def _from_time(fragment: Fragment, time: int) -> Fragment:
    """Without the leading samples that are decoded before `time`."""
    times = accumulate((sample.duration for sample in fragment.samples), initial=fragment.base_time)
    leading = [sample for sample, begins in zip(fragment.samples, times, strict=False) if begins < time]
    return replace(
        fragment,
        base_time=fragment.base_time + sum(sample.duration for sample in leading),
        samples=fragment.samples[len(leading) :],
        data_offset=fragment.data_offset + sum(sample.size for sample in leading),
    )
