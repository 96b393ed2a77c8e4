"""Storyboards: every moment of the film has its tile, and every tile a place on a sheet of its own."""

from __future__ import annotations

import json
import re
from itertools import pairwise

from hypothesis import given

from media_service.timeline.previews import Pack, shown
from media_service.timeline.storyboards import cues, prefixed, rows, sheet_count, sheet_tiles, webvtt
from tests.support.addresses import stays_below_the_film
from tests.timeline.packs import any_packs, pack_of

CUE = re.compile(r"(\d\d+):(\d\d):(\d\d)\.(\d{3}) --> (\d\d+):(\d\d):(\d\d)\.(\d{3})\n(\S+)")


def read(text: str) -> list[tuple[int, int, str]]:
    """The cues of a WebVTT file (s4.1): times in milliseconds, and the text."""
    head, *blocks = text.split("\n\n")
    assert head == "WEBVTT"
    found = []
    for block in blocks:
        match = CUE.fullmatch(block.rstrip("\n"))
        assert match, block
        a, b, c, d, e, f, g, h = map(int, match.groups()[:8])
        assert max(b, c, f, g) < 60
        found.append((((a * 60 + b) * 60 + c) * 1000 + d, ((e * 60 + f) * 60 + g) * 1000 + h, match[9]))
    return found


def test_each_tile_is_a_cue_from_its_frames_time_to_the_next_ones() -> None:
    pack = pack_of([40_000, 1_001_000, 2_002_001, 3_725_000_000], film_us=3_726_500_000)
    assert webvtt(pack) == (
        "WEBVTT\n"
        "\n00:00:00.000 --> 00:00:01.001\nstoryboard/0.jpg?v=abc123#xywh=0,0,256,144\n"
        "\n00:00:01.001 --> 00:00:02.003\nstoryboard/0.jpg?v=abc123#xywh=0,144,256,144\n"
        "\n00:00:02.003 --> 01:02:05.000\nstoryboard/0.jpg?v=abc123#xywh=0,288,256,144\n"
        "\n01:02:05.000 --> 01:02:06.500\nstoryboard/0.jpg?v=abc123#xywh=0,432,256,144\n"
    )


def test_sheets_are_as_high_as_graphics_chips_take() -> None:
    assert [rows(pack_of([0], size=size)) for size in ((256, 144), (144, 256), (640, 16), (40, 640))] == [
        25,
        16,
        25,
        6,
    ]


def test_tiles_go_on_on_the_next_sheet() -> None:
    pack = pack_of([number * 1_000_000 for number in range(60)])
    assert [sheet_tiles(pack, number) for number in range(sheet_count(pack))] == [
        range(25),
        range(25, 50),
        range(50, 60),
    ]
    places = [text.partition("#")[0] for _, _, text in read(webvtt(pack))]
    assert places == [f"storyboard/{number // 25}.jpg?v=abc123" for number in range(60)]
    assert read(webvtt(pack))[26][2].endswith("1.jpg?v=abc123#xywh=0,144,256,144")


def test_as_json_it_has_exact_times_and_paths_from_the_root() -> None:
    pack = pack_of([0, 1_001_001], film_us=2_000_000)
    assert json.loads(cues(pack, "/t/TOKEN/media/ID")) == [
        {
            "startTime": 0,
            "endTime": 1.001001,
            "text": "/t/TOKEN/media/ID/storyboard/0.jpg?v=abc123#xywh=0,0,256,144",
        },
        {
            "startTime": 1.001001,
            "endTime": 2,
            "text": "/t/TOKEN/media/ID/storyboard/0.jpg?v=abc123#xywh=0,144,256,144",
        },
    ]


def test_a_prefix_comes_before_each_path_and_nowhere_else() -> None:
    pack = pack_of([number * 1_000_000 for number in range(30)])
    made = prefixed(cues(pack, "/media/ID").encode(), "/t/TOKEN")
    assert made.decode() == cues(pack, "/t/TOKEN/media/ID")


@given(any_packs())
def test_any_film_has_a_tile_at_every_moment_and_no_tile_twice(pack: Pack) -> None:
    found = read(webvtt(pack))
    assert len(found) == len(pack.tiles) == len(json.loads(cues(pack, "/media/ID")))
    assert found[0][0] == 0
    assert all(begin < stop for begin, stop, _ in found)
    assert all(abs(here[1] - there[0]) <= 1 for here, there in pairwise(found))
    for (begin, _, _), (exact, _) in zip(found, shown(pack), strict=True):
        assert 0 <= 1000 * begin - exact < 1000
    assert len({text for *_, text in found}) == len(found)
    assert all(stays_below_the_film("storyboard.vtt", text) for *_, text in found)
    numbers = [number for sheet in range(sheet_count(pack)) for number in sheet_tiles(pack, sheet)]
    assert numbers == list(range(len(pack.tiles)))
