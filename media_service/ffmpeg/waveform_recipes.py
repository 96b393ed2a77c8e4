"""A film's sound -> argv that tells its least and greatest samples, and what comes out of it. Pure.

ffmpeg itself looks at the samples (`astats`) and prints two lines of text for each stretch of them: of a film of ten hours
one megabyte comes out of the pipe instead of seven gigabytes.
"""

from __future__ import annotations

from array import array
from fractions import Fraction

import ffmpeg

from media_service.ffmpeg.fence import Limits, input_options, source_url
from media_service.ffmpeg.filters import Filter, cut_sound, through
from media_service.ffmpeg.recipes import FILM_TIMES, MOVED
from media_service.timeline.cutting import AudioCut
from media_service.timeline.facts import AudioFacts
from media_service.timeline.sound_stamps import Stamps

LONGEST_LINE = 4096  # bytes; real ones have under 60
_LEAST, _GREATEST = b"lavfi.astats.Overall.Min_level", b"lavfi.astats.Overall.Max_level"


def levels(
    sound: AudioFacts, *, source_fd: int, pipe_fd: int, samples: int, each: int, limits: Limits
) -> list[str]:
    """argv that prints the levels of `each` samples in turn, of the first `samples` of the film, into the pipe.

    Samples of AUDIO_SAMPLE_RATE; where the source has no sound they are silent. `LevelsParser` reads it.
    """
    # Of a picture of the sound the container's rounded times are good enough: no look at all packets for exact ones.
    cut = AudioCut(
        seek=None,
        start=0,
        stop=samples,
        first=0,
        end=samples,
        stamps=Stamps(exact=False, quantum=0, packet_seconds=Fraction(0)),
        fill=True,
        silent=False,
    )
    told = "Min_level+Max_level"
    chain = [
        # Made stereo, a single channel would lose 3 dB.
        *cut_sound(sound, cut, "mono" if sound.channels == 1 else "stereo"),
        Filter("aformat", {"sample_fmts": "fltp"}),  # else levels are counted in the source's own units
        Filter("asetnsamples", {"n": each, "p": 0}),
        Filter("astats", {"metadata": 1, "reset": 1, "measure_perchannel": "none", "measure_overall": told}),
        Filter("ametadata", {"mode": "print", "file": f"pipe:{pipe_fd}"}),
    ]
    source = ffmpeg.input(source_url(source_fd), threads=1, itsoffset=MOVED, **input_options(limits))
    output = through(source[str(sound.index)], chain)
    argv: list[str] = (
        output.output("-", f="null").global_args("-nostdin", "-v", "error", *FILM_TIMES).compile()
    )
    return argv


class LevelsParser:
    """Push parser: `feed(data)` takes any split of the bytes. `least` and `greatest` are what has come, sample by sample.

    No more than `most` of each are kept; lines that are none are passed over.
    """

    def __init__(self, most: int) -> None:
        self.least = array("f")
        self.greatest = array("f")
        self._most = most
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take what `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
        for line in lines:
            key, _, value = line.partition(b"=")
            levels = {_LEAST: self.least, _GREATEST: self.greatest}.get(key)
            if levels is not None and len(levels) < self._most:
                levels.append(_number(value))


def _number(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0
