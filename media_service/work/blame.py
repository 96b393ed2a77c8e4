"""Which segments are to blame for the end of a run. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from media_service.errors import MediaServiceError
from media_service.work.runs import Run

# So often something outside (the kernel, for want of memory) may end ffmpeg at a segment before it is the segment.
KILLS = 3


class RunBroke(Exception):
    """A run could not make `segments` (rendition -> number), because of `error`."""

    def __init__(self, segments: Mapping[str, int], error: MediaServiceError) -> None:
        super().__init__(f"segment {', '.join(f'{at} of {name}' for name, at in segments.items())}: {error}")
        self.segments = segments
        self.error = error


def blamed(run: Run, came: Mapping[str, int], raised: Collection[str]) -> dict[str, int]:
    """The segments to blame, by rendition; none when all are there in spite of what happened.

    `came`: which segment of each rendition comes next; empty before anything has begun. `raised`: the renditions whose
    streams were found to be wrong. Where none was, it is what comes next where the least has come.
    """
    lacking = {name: number for name in run.names if (number := came.get(name, run.first)) < run.stop}
    wrong = {name: number for name, number in lacking.items() if name in raised}
    least = min(lacking.values(), default=run.stop)
    return wrong or {name: number for name, number in lacking.items() if number == least}


class Kills:
    """Counts which segments were due whenever something outside ended ffmpeg."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[tuple[str, int]]] = defaultdict(Counter)  # by film

    def suspect(self, run: Run, segments: Mapping[str, int]) -> bool:
        """Whether that happened so often while just these were due that they are to blame for it. Counts this time, too."""
        counts = self._counts[run.asset_id]
        counts.update(segments.items())
        # What failed before is under suspicion already.
        return run.attempt > 0 or max(counts[one] for one in segments.items()) >= KILLS

    def forget(self, asset_id: str) -> None:
        """Hold nothing against the film any more."""
        self._counts.pop(asset_id, None)
