"""Where the packets of a sound track exactly belong, though many containers round their times to milliseconds.

Two runs that each believed the rounded time of the packet they begin with would be up to a millisecond apart: a click where
they are joined. But packets of one codec last whole numbers of a quantum of samples (1024 in AAC, 1152 in MP3, 64 in Vorbis),
so true times lie on a lattice, `phase + n * quantum`, and a rounded time names the lattice point next to it. Any run
that moves each frame to its lattice point places it as every other run does, wherever it began.

After a hole, or when a clock that ran differently has drifted too far, the sound goes on with another phase: that is a
new stretch. Stretches are found from the packets' times alone, from the start of the track, so all runs find the same.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from math import ceil
from operator import sub

from media_service.timeline.facts import AudioFacts
from media_service.timeline.stored_index import StoredTrack

# Samples of which the packets of a codec last a multiple; of others it is found from their times.
QUANTA = {
    "aac": 1024,
    "mp3": 576,
    "mp2": 1152,
    "ac3": 256,
    "eac3": 256,
    "dts": 256,
    "opus": 120,
    "vorbis": 64,
    "wmav1": 512,
    "wmav2": 512,
    "amr_nb": 160,
    "amr_wb": 320,
}
# Codecs whose packets have several lengths as the sound demands, even where the opening has only one; the longest, in samples.
MIXED = {"vorbis": 4096}
PACE_PACKETS = 1024  # at the track's start, by which the quantum is found
LEAST_PACKETS = 16  # tell nothing
REGULAR_SHARE = 0.95  # of the packets that must be equally far apart for that distance to be the quantum
MEASURED_SAMPLES = Fraction(
    1, 5
)  # how near to a whole number a measured distance must be, and how well it must be known
DRIFT = Fraction(1, 1000)  # by which a source's clock may run differently
WINDOW_PACKETS = 256  # that tell the phase of a stretch
WANDER = Fraction(
    9, 20
)  # of a quantum, either way: further from its lattice point, a time might mean the next one
HOLE_SECONDS = Fraction(20, 1000)  # a packet that is so much late comes after a hole
MOST_STRETCHES = 1000  # of a film; more means that there is no lattice
PIECE_PACKETS = 4096  # that are looked at together


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `begins` (seconds) on, exact places are `phase` + n quanta, in samples of the source's rate."""

    begins: Fraction
    phase: int


@dataclass(frozen=True, slots=True)
class Stamps:
    """What is known of the places of a track's packets.

    `quantum` is in samples of the source's rate; 0: times are taken as they are, which are exact only if `exact`.
    `packet_seconds` is how long packets usually last at most.
    """

    exact: bool
    quantum: int
    packet_seconds: Fraction
    stretches: tuple[Stretch, ...] = ()


def stamps(sound: AudioFacts, track: StoredTrack) -> Stamps:
    """What is known of the packets of `track`. Reads all of it: of three hours a quarter of a second."""
    opening = list(islice(track.shown_times(), PACE_PACKETS))
    steps = sorted(map(sub, opening[1:], opening))
    if len(steps) < LEAST_PACKETS:
        longest = Fraction(max(steps, default=0), track.timescale)
        return Stamps(exact=False, quantum=0, packet_seconds=longest)
    longest = Fraction(steps[int(REGULAR_SHARE * (len(steps) - 1))], track.timescale)
    if sound.codec in MIXED:
        longest = max(longest, Fraction(MIXED[sound.codec], sound.sample_rate))
    quantum = _quantum(sound, track.timescale, steps)
    if quantum is None:
        return Stamps(exact=False, quantum=0, packet_seconds=longest)
    if quantum > 1:
        lattice = _Lattice(sound.sample_rate, quantum, track.timescale, longest)
        found = tuple(islice(lattice.stretches(array("q", track.shown_times())), MOST_STRETCHES + 1))
        if len(found) <= MOST_STRETCHES:
            return Stamps(exact=True, quantum=quantum, packet_seconds=longest, stretches=found)
    return Stamps(exact=quantum <= 1, quantum=0, packet_seconds=longest)


def _quantum(sound: AudioFacts, timescale: int, steps: Sequence[int]) -> int | None:
    """Samples; 1 where ticks are fine enough to be exact without; None where nothing is known.

    `steps`: the distances of packets in ticks, rising.
    """
    tick = Fraction(sound.sample_rate, timescale)  # in samples
    known = QUANTA.get(sound.codec, 1)
    median = steps[len(steps) // 2]
    regular = [step for step in steps if abs(step - median) <= 1]
    if sound.codec not in MIXED and len(regular) >= REGULAR_SHARE * len(steps):
        average = tick * sum(regular) / len(regular)
        quantum = max(1, round(average / known)) * known
        doubt = tick / len(regular)
        if abs(average - quantum) <= (DRIFT * quantum + 2 * doubt if known > 1 else MEASURED_SAMPLES - doubt):
            return quantum
    if tick <= 1:
        return 1
    return known if 2 * WANDER * known > tick else None


@dataclass(frozen=True, slots=True)
class _Lattice:
    """Finds stretches. Inside, times are counted in 1 / (timescale * rate) seconds, so that all are whole numbers."""

    rate: int
    quantum: int
    timescale: int
    packet_seconds: Fraction

    @property
    def period(self) -> int:
        return self.quantum * self.timescale

    def stretches(self, times: Sequence[int]) -> Iterator[Stretch]:
        hole = ceil((self.packet_seconds + HOLE_SECONDS) * self.timescale)
        start = 0
        while start < len(times):
            phase = self._phase(_unbroken(times[start : start + WINDOW_PACKETS], hole))
            # A quarter of the way back to the packet before: nothing lies there.
            back = Fraction(times[start] - times[start - 1], 4) if start else Fraction(0)
            yield Stretch((times[start] - back) / self.timescale, round(Fraction(phase, self.timescale)))
            start = self._end(times, start, phase, hole)

    def _phase(self, times: Sequence[int]) -> int:
        """The middle of where their times lie within a period; of the first ones only where all do not agree."""
        while True:
            places = sorted(time * self.rate % self.period for time in times)
            gaps = [after - before for before, after in pairwise((*places, places[0] + self.period))]
            widest = max(range(len(gaps)), key=gaps.__getitem__)
            taken = self.period - gaps[widest]
            if len(times) == 1 or taken <= 2 * WANDER * self.period:
                return (places[(widest + 1) % len(places)] + taken // 2) % self.period
            times = times[: len(times) // 2]

    def _end(self, times: Sequence[int], start: int, phase: int, hole: int) -> int:
        """The number of the first packet that is not of the stretch."""
        half, allowed = self.period // 2, WANDER * self.period
        for first in range(start, len(times), PIECE_PACKETS):
            piece = times[first : first + PIECE_PACKETS + 1]
            off = [abs((time * self.rate - phase + half) % self.period - half) for time in piece]
            late = list(map(sub, piece[1:], piece))
            if max(off) <= allowed and max(late, default=0) <= hole:
                continue
            for number, far in enumerate(off):
                # The first one began the stretch, whatever it looks like: each stretch has a packet.
                if (number or first > start) and (far > allowed or (number and late[number - 1] > hole)):
                    return first + number
        return len(times)


def _unbroken(times: Sequence[int], hole: int) -> Sequence[int]:
    """Those before the first hole."""
    ends = (number for number, (one, other) in enumerate(pairwise(times), 1) if other - one > hole)
    return times[: next(ends, len(times))]
