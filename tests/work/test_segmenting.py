"""Segments cut out of what ffmpeg really writes: however the bytes come, the same ones, and they fit together."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from media_service.errors import MediaRejected, TranscodeFailed, TranscodeIncomplete
from media_service.mp4.boxes import walk
from media_service.mp4.fragments import read_fragment
from media_service.timeline.outline import OutlineRendition
from media_service.work.segmenting import MadeSegment, Segmenter
from tests.work import streams

SECOND = 90_000
FRAME = 3_600
PACKET = 1024
WHOLE = streams.picture_rendition(0, 2 * SECOND, 3 * SECOND, 4 * SECOND)
SOUNDS = streams.sound_rendition(0, 94 * PACKET, 188 * PACKET)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return streams.picture(tmp_path_factory.mktemp("picture") / "picture.mp4")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return streams.sound(tmp_path_factory.mktemp("sound") / "sound.mp4")


def segmenter(
    rendition: OutlineRendition = WHOLE,
    first: int = 0,
    stop: int | None = None,
    *,
    least: Callable[[int], int] = lambda _: 1,
    lenient: bool = False,
) -> Segmenter:
    return Segmenter(
        rendition, first, rendition.count if stop is None else stop, least=least, lenient=lenient
    )


def cut(maker: Segmenter, pieces: Iterable[bytes]) -> list[MadeSegment]:
    made = [one for piece in pieces for one in maker.feed(piece)]
    return [*made, *maker.finish()]


def splits(data: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.sample(range(1, len(data)), 40))
    return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def payloads(stream: bytes) -> bytes:
    return b"".join(stream[box.payload_start : box.stop] for box in walk(stream) if box.type == "mdat")


def test_fragments_between_two_boundaries_become_one(picture: bytes) -> None:
    made = cut(segmenter(), [picture])
    assert [one.number for one in made] == [0, 1, 2]
    assert [one.base_time for one in made] == [0, 2 * SECOND, 3 * SECOND]
    assert [len(one.samples) for one in made] == [50, 25, 25]
    for one in made:
        moof, mdat = walk(one.data)
        assert (moof.type, mdat.type) == ("moof", "mdat")
        fragment = read_fragment(one.data[: moof.stop])
        assert (fragment.sequence, fragment.track_id) == (one.number + 1, 1)
        assert (fragment.base_time, fragment.samples) == (one.base_time, one.samples)
        assert mdat.payload_start == one.payload_start
        assert one.samples[0].sync
        assert {sample.duration for sample in one.samples} == {FRAME}
        assert one.iframe_size == one.payload_start + one.samples[0].size
    assert b"".join(payloads(one.data) for one in made) == payloads(picture)


@pytest.mark.parametrize("how", ["split at random", "byte by byte"])
def test_however_the_bytes_come_the_segments_are_the_same(picture: bytes, how: str) -> None:
    pieces = [bytes([byte]) for byte in picture]
    if how == "split at random":
        pieces = splits(picture, random.Random(7))
    assert cut(segmenter(), pieces) == cut(segmenter(), [picture])


def test_a_segment_is_there_with_its_last_fragment_and_not_one_later(picture: bytes) -> None:
    maker = segmenter()
    fragments = [box.stop for box in walk(picture) if box.type == "mdat"]
    assert not list(maker.feed(picture[: fragments[0]]))
    assert maker.reached == pytest.approx(1.0)
    assert [one.number for one in maker.feed(picture[fragments[0] : fragments[1]])] == [0]
    assert maker.number == 1
    assert maker.reached == pytest.approx(2.0)


def test_the_same_bytes_have_the_same_name_and_others_another(picture: bytes) -> None:
    made = cut(segmenter(), [picture])
    assert [one.digest for one in made] == [one.digest for one in cut(segmenter(), [picture])]
    assert len({one.digest for one in made}) == 3
    assert all(len(one.digest) == 32 for one in made)


def test_what_lies_outside_of_the_run_is_dropped(picture: bytes) -> None:
    whole = cut(segmenter(), [picture])
    assert cut(segmenter(first=1, stop=2), [picture]) == whole[1:2]


def test_each_last_frame_lasts_until_the_next_segment(tmp_path: Path) -> None:
    """With frames left out: those before the hole are shown until it ends."""
    options = ("-vf", "select='not(between(n,45,49)+between(n,90,99))'", "-force_key_frames", "2,3")
    holed = streams.picture(tmp_path / "holed.mp4", *options)
    made = cut(segmenter(), [holed])
    assert [one.samples[-1].duration for one in made] == [6 * FRAME, FRAME, 11 * FRAME]
    for one, end in zip(made, WHOLE.boundaries[1:], strict=True):
        assert one.base_time + sum(sample.duration for sample in one.samples) == end


def test_the_packet_that_primes_decoders_is_dropped_and_the_last_packet_ends_with_the_sound(
    sound: bytes,
) -> None:
    first = read_fragment(next(sound[box.start : box.stop] for box in walk(sound) if box.type == "moof"))
    assert first.base_time == -PACKET
    rendition = streams.sound_rendition(0, 94 * PACKET, 4 * 48_000)
    made = cut(segmenter(rendition), [sound])
    assert [one.base_time for one in made] == [0, 94 * PACKET]
    assert [len(one.samples) for one in made] == [94, 94]
    assert made[-1].samples[-1].duration == 4 * 48_000 - 187 * PACKET
    primed = payloads(sound)[first.samples[0].size :]
    assert primed.startswith(b"".join(payloads(one.data) for one in made))


def test_sound_is_cut_within_fragments(sound: bytes) -> None:
    rendition = streams.sound_rendition(0, 10 * PACKET, 20 * PACKET, 21 * PACKET, 150 * PACKET)
    made = cut(segmenter(rendition), splits(sound, random.Random(3)))
    assert [len(one.samples) for one in made] == [10, 10, 1, 129]


def test_a_film_whose_picture_begins_late_begins_late(tmp_path: Path) -> None:
    late = streams.picture(tmp_path / "late.mp4", "-vf", "setpts=PTS+12", "-force_key_frames", "2")
    made = cut(segmenter(streams.picture_rendition(0, 2 * SECOND, 4 * SECOND + 12 * FRAME)), [late])
    assert [one.base_time for one in made] == [0, 2 * SECOND]
    assert [one.samples[0].composition_offset for one in made] == [12 * FRAME, 0]
    assert made[0].samples[0].duration == 13 * FRAME


def test_times_that_two_clocks_round_otherwise_are_the_boundaries(picture: bytes) -> None:
    near = streams.picture_rendition(0, 2 * SECOND + 1, 3 * SECOND - 1, 4 * SECOND)
    made = cut(segmenter(near), [picture])
    assert [one.base_time for one in made] == [0, 2 * SECOND + 1, 3 * SECOND - 1]
    assert [len(one.samples) for one in made] == [50, 25, 25]


def late_by_two_frames(directory: Path) -> bytes:
    """The second second's first two frames are lost."""
    options = ("-vf", "select='not(between(n,25,26))'", "-force_key_frames", "1")
    return streams.picture(directory / "lost.mp4", *options)


def test_a_run_that_was_entered_too_late_is_no_good(tmp_path: Path) -> None:
    rendition = streams.picture_rendition(0, SECOND, 4 * SECOND)
    with pytest.raises(TranscodeIncomplete, match="began too late"):
        cut(segmenter(rendition, first=1), [late_by_two_frames(tmp_path)])


def test_with_lenience_and_within_a_run_the_next_frame_is_shown_early(tmp_path: Path) -> None:
    rendition = streams.picture_rendition(0, SECOND, 4 * SECOND)
    stream = late_by_two_frames(tmp_path)
    lenient = cut(segmenter(rendition, first=1, lenient=True), [stream])
    assert lenient == cut(segmenter(rendition), [stream])[1:]
    assert lenient[0].base_time == SECOND
    assert lenient[0].samples[0].duration == 3 * FRAME


def test_a_segment_with_too_few_frames_is_not_one(picture: bytes) -> None:
    maker = segmenter(least=lambda number: 26 if number == 1 else 1)
    with pytest.raises(TranscodeIncomplete, match="25 frames; at least 26"):
        cut(maker, [picture])
    assert maker.number == 1


def test_a_boundary_without_a_keyframe_is_a_failure(picture: bytes) -> None:
    with pytest.raises(TranscodeFailed, match="does not begin with a keyframe"):
        cut(segmenter(streams.picture_rendition(0, SECOND + 10 * FRAME, 4 * SECOND)), [picture])


def test_a_segment_without_frames_is_incomplete(picture: bytes) -> None:
    with pytest.raises(TranscodeIncomplete, match="segment 1"):
        cut(
            segmenter(streams.picture_rendition(0, 2 * SECOND - 200, 2 * SECOND - 100, 4 * SECOND)), [picture]
        )


def test_a_run_that_ends_early_is_incomplete_but_for_the_segments_before(picture: bytes) -> None:
    longer = streams.picture_rendition(0, 2 * SECOND, 4 * SECOND, 6 * SECOND)
    maker = segmenter(longer)
    assert [one.number for one in maker.feed(picture)] == [0, 1]
    with pytest.raises(TranscodeIncomplete, match="before segment 2"):
        list(maker.finish())


def test_a_stream_that_ends_in_the_middle_is_a_failure(picture: bytes) -> None:
    with pytest.raises(TranscodeFailed, match="ends in the middle"):
        cut(segmenter(), [picture[:-1]])


def test_a_stream_without_pictures_is_incomplete(picture: bytes) -> None:
    start = next(box.start for box in walk(picture) if box.type == "moof")
    for stream in (b"", picture[:start]):
        with pytest.raises(TranscodeIncomplete):
            cut(segmenter(), [stream])


def test_media_without_its_description_is_a_failure(picture: bytes) -> None:
    media = next(picture[box.start : box.stop] for box in walk(picture) if box.type == "mdat")
    with pytest.raises(TranscodeFailed, match="without a description"):
        cut(segmenter(), [media])


def test_another_clock_than_the_outlines_is_a_failure(sound: bytes) -> None:
    with pytest.raises(TranscodeFailed, match="48000 ticks"):
        cut(segmenter(), [sound])


def test_what_is_no_mp4_is_an_error_of_the_table() -> None:
    with pytest.raises((MediaRejected, TranscodeFailed)):
        cut(segmenter(), [b"<html>" * 1000])
