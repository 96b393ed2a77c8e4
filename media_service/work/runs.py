"""Which segments one ffmpeg makes next. Pure: from the outline and what the catalog says of it.

Short first, so that something is there in a second; then longer and longer, since each start costs a seek and a few frames
decoded in vain. Sound is a hundred times faster than the picture and never kept waiting by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

from media_service.store.records import Failure
from media_service.timeline.cutting import ATTEMPTS
from media_service.timeline.outline import Outline, OutlineRendition

MAX_ATTEMPTS = ATTEMPTS  # at one segment: as many as there are ways to enter the film before it
LONGEST_SECONDS = (
    300  # of film in a run of a batch: what a crash of ffmpeg may make somebody wait for is less
)
AHEAD_SECONDS = 30  # of film in a run that somebody waits for: as far as players read ahead
LEAST_SOUNDS = 4  # segments in the first run of a sound: still under half a second
# So many failed for good, and more than were made: it is not the segments, it is the film, or ffmpeg, or we.
FEW = 3

Made = Mapping[str, Set[int]]  # rendition -> numbers of the segments that are there
Failed = Mapping[tuple[str, int], Failure]  # by rendition and number


@dataclass(frozen=True, slots=True)
class Run:
    """One ffmpeg's work: the segments [first, stop) of the renditions `names`, all of one kind.

    `attempt` counts from 0 how often making `first` has failed.
    """

    asset_id: str
    names: tuple[str, ...]
    first: int
    stop: int
    attempt: int = 0


def next_run(asset_id: str, outline: Outline, made: Made, failed: Failed) -> Run | None:
    """What a batch makes next; None when nothing is left to be made.

    What begins earliest in the film; of what begins together the main sound, then the picture, then other sounds.
    """
    best: tuple[tuple[float, int], Run] | None = None
    for rank, group in _groups(outline):
        first = min((_first_lacking(one, made, failed) for one in group), default=0)
        if first < group[0].count:
            order = (float(group[0].seconds(first)), rank)
            if best is None or order < best[0]:
                best = (order, _batch(asset_id, group, first, made, failed))
    return None if best is None else best[1]


def run_from(asset_id: str, rendition: OutlineRendition, number: int, failures: int) -> Run:
    """What is made for somebody who waits for that segment: it, and what he is going to ask for next.

    `failures`: how often it failed. What failed is tried alone.
    """
    stop = number + 1
    while failures == 0 and stop < rendition.count and _span(rendition, number, stop) < AHEAD_SECONDS:
        stop += 1
    return Run(asset_id, (rendition.name,), number, stop, failures)


def shortened(run: Run, made: Made, failed: Failed) -> Run:
    """The run until the next segment that is there already, or that failed before; its first one at least."""
    stop = run.first + 1
    while stop < run.stop and not any(
        stop in made.get(name, ()) or (name, stop) in failed for name in run.names
    ):
        stop += 1
    return replace(run, stop=stop)


def failed_for_good(failed: Failed) -> set[tuple[str, int]]:
    """The segments that nobody tries to make any more."""
    return {segment for segment, failure in failed.items() if failure.attempts >= MAX_ATTEMPTS}


def hopeless(outline: Outline, made: Made, failed: Failed) -> bool:
    """Whether trying the segments that are left would only multiply what goes wrong."""
    for _, group in _groups(outline):
        names = {one.name for one in group}
        lost = {number for name, number in failed_for_good(failed) if name in names}
        there = set[int]().union(*(made.get(name, ()) for name in names))
        if len(lost) >= FEW and len(lost) > len(there):
            return True
    return False


def _groups(outline: Outline) -> Iterator[tuple[int, tuple[OutlineRendition, ...]]]:
    """What is made together, with the order of those that begin together: all pictures by one decode, each sound alone."""
    pictures = tuple(one for one in outline.encoded if one.kind == "video")
    sounds = [one for one in outline.encoded if one.kind == "audio"]
    if pictures:
        yield 1, pictures
    for sound in sounds:
        yield (0 if sound is outline.sounds[0] else 2), (sound,)


def _first_lacking(rendition: OutlineRendition, made: Made, failed: Failed) -> int:
    number = 0
    while number < rendition.count and not _lacks(rendition, number, made, failed):
        number += 1
    return number


def _lacks(rendition: OutlineRendition, number: int, made: Made, failed: Failed) -> bool:
    return (
        number not in made.get(rendition.name, ())
        and _attempts(failed, rendition.name, number) < MAX_ATTEMPTS
    )


def _batch(asset_id: str, group: tuple[OutlineRendition, ...], first: int, made: Made, failed: Failed) -> Run:
    def lacking(number: int) -> list[OutlineRendition]:
        return [one for one in group if _lacks(one, number, made, failed)]

    def tried(number: int) -> int:
        return max(_attempts(failed, one.name, number) for one in lacking(number))

    these = lacking(first)
    attempt = tried(first)
    stop = first + 1
    # As many as lie before it, so that runs double; and what failed before is tried alone.
    most = max(first, LEAST_SOUNDS if these[0].kind == "audio" else 1) if attempt == 0 else 1
    while (
        stop < min(first + most, these[0].count)
        and _span(these[0], first, stop) < LONGEST_SECONDS
        and lacking(stop) == these
        and tried(stop) == 0
    ):
        stop += 1
    return Run(asset_id, tuple(one.name for one in these), first, stop, attempt)


def _attempts(failed: Failed, name: str, number: int) -> int:
    failure = failed.get((name, number))
    return 0 if failure is None else failure.attempts


def _span(rendition: OutlineRendition, first: int, stop: int) -> float:
    """How long the segments [first, stop) are shown, in seconds."""
    return (rendition.boundaries[stop] - rendition.boundaries[first]) / rendition.timescale
