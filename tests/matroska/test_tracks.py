"""The list of tracks, written by hand and by ffmpeg."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.matroska.tracks import AUDIO, VIDEO, Colour, MatroskaTrack, read_tracks
from tests.matroska.writing import CLUSTER, CUES, SEGMENT, TRACKS, VOID, element, film, reader, track
from tests.support.films import Film, Films

ENCODINGS = 0x6D80


def tracks_of(data: bytes) -> tuple[MatroskaTrack, ...]:
    return read_tracks(reader(data), len(data))


def test_what_ffmpeg_writes_is_read(films: Films) -> None:
    picture, sound = tracks_of(films.film(Film(container="mkv")).read_bytes())
    assert (picture.number, picture.type, picture.codec, picture.plain) == (1, VIDEO, "V_MPEG4/ISO/AVC", True)
    assert picture.private[0] == 1
    assert (sound.number, sound.type, sound.codec, len(sound.private)) == (2, AUDIO, "A_AAC", 5)


def test_tracks_are_in_the_order_of_the_list() -> None:
    data = film(element(VOID, b"abc"), element(TRACKS, track(7), element(VOID), track(3, 2, b"A_AAC\0")))
    assert [(one.number, one.codec) for one in tracks_of(data)] == [(7, "V_AV1"), (3, "A_AAC")]


def test_a_list_behind_the_film_is_found() -> None:
    data = film(element(CLUSTER, b"x" * 100_000), element(CUES), element(TRACKS, track(7)))
    assert [one.number for one in tracks_of(data)] == [7]


def test_frames_that_are_changed_are_not_plain() -> None:
    stripped = element(ENCODINGS, element(0x6240, element(0x5034, element(0x4254, b"\3"))))
    empty = element(ENCODINGS)
    data = film(element(TRACKS, track(1, 1, b"V_AV1", stripped), track(2, 1, b"V_AV1", empty)))
    assert [one.plain for one in tracks_of(data)] == [False, True]


def test_colours_are_numbers_or_not_specified() -> None:
    told = [(0x55B1, b"\x09"), (0x55B9, b"\x02"), (0x55BA, b"\0\x10"), (0x55BB, b"\x01\0")]
    colour = element(0x55B0, *(element(name, value) for name, value in told))
    data = film(element(TRACKS, track(1, 1, b"V_VP9", element(0xE0, element(0xB0, b"\x10"), colour))))
    assert tracks_of(data)[0].colour == Colour(primaries=2, transfer=16, matrix=9, full_range=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1a\x45\xdf\xa3",
        element(SEGMENT, element(TRACKS)),
        film()[:12],
        film(),
        film(element(CUES)),
        film(element(CLUSTER, unknown=True), element(TRACKS)),
        film(element(TRACKS, track(1)))[:-1],
        film(element(TRACKS, track(1)[:-1])),
    ],
)
def test_a_film_without_a_list_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenMedia):
        tracks_of(data)


def test_a_list_that_is_larger_than_any_is_not_read() -> None:
    size = 5 << 20
    head = film(TRACKS.to_bytes(4, "big") + b"\x08" + size.to_bytes(4, "big"), unknown=True)

    def read(start: int, stop: int) -> bytes:
        assert stop - start < 1 << 20
        return head[start:stop].ljust(stop - start, b"\0")

    with pytest.raises(AbsurdMedia):
        read_tracks(read, len(head) + size)


@given(st.data())
def test_damage_is_broken_or_read(data: st.DataObject) -> None:
    whole = bytearray(film(element(TRACKS, track(1), track(2, 2, b"A_AAC", element(0xE0, element(0x55B0))))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.integers(1, len(whole)))]
    with suppress(BrokenMedia, AbsurdMedia):
        assert len(tracks_of(bytes(whole))) <= 3
