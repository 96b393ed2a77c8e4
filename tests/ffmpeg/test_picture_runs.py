"""Runs of pictures over real files: wherever a run begins, it makes the frames that a run over the whole film makes."""

from __future__ import annotations

from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from media_service.timeline.cutting import ATTEMPTS, video_cut
from media_service.timeline.ladder import video_renditions
from media_service.timeline.outlining import VIDEO_TIMESCALE
from tests.ffmpeg.numbered import FILMS, FPS, SECONDS, NumberedFilms, first_lumas, numbered, numbers, playable
from tests.ffmpeg.running import (
    DAY,
    Source,
    opened,
    outlined,
    picture_segments,
    pictures,
    source_of,
)
from tests.support.media import ffmpeg, probe
from tests.support.shared import corpus, shared_file

TICK = 1  # of VIDEO_TIMESCALE: both clocks round
# Two seconds and a little: what a seek inside a segment may have to decode in vain.
LONGEST_GROUP = round(2.15 * VIDEO_TIMESCALE)


@pytest.mark.parametrize("name", FILMS)
async def test_each_segment_has_the_frames_of_the_whole_film(
    name: str, film: NumberedFilms, tmp_path: Path
) -> None:
    with opened(film(name)) as fd:
        source = await source_of(fd)
        (rendition,) = video_renditions(source.facts, packaged=False)
        outline = outlined(source, rendition)
        assert outline.count >= 2
        whole = await picture_segments(source, rendition, 0, outline.count)
        assert whole.times == [number * VIDEO_TIMESCALE // FPS for number in range(SECONDS * FPS)]
        for number in range(outline.count):
            made = await picture_segments(source, rendition, number, number + 1)
            begin, end = outline.boundaries[number : number + 2]
            assert made.times == [time for time in whole.times if begin <= time < end], number
            assert numbers(made, tmp_path / "made.mp4") == [
                time * FPS // VIDEO_TIMESCALE for time in made.times
            ]
            assert made.keys == [time for time in whole.keys if begin <= time < end], "and its IDR frames"
            assert made.samples[0].sync


@pytest.mark.parametrize("name", ["mp4", "ts"])
async def test_later_attempts_make_the_same_frames(name: str, film: NumberedFilms, tmp_path: Path) -> None:
    with opened(film(name)) as fd:
        source = await source_of(fd)
        (rendition,) = video_renditions(source.facts, packaged=False)
        found = [
            numbers(await picture_segments(source, rendition, 2, 3, attempt=attempt), tmp_path / "made.mp4")
            for attempt in range(ATTEMPTS)
        ]
        assert found == [found[0]] * ATTEMPTS


async def test_a_film_without_an_index_of_its_own_can_be_entered_all_the_same(
    film: NumberedFilms, tmp_path: Path
) -> None:
    """Matroska of a live stream has no cues."""
    path = tmp_path / "streamed.mkv"
    ffmpeg("-i", film("mkv"), "-c", "copy", "-f", "matroska", "-live", "1", path)
    with opened(path) as fd:
        source = await source_of(fd)
        (rendition,) = video_renditions(source.facts, packaged=False)
        made = await picture_segments(source, rendition, 2, 3)
    assert numbers(made, tmp_path / "made.mp4") == list(range(8 * FPS, 12 * FPS))


async def test_rungs_from_one_decode_have_the_same_times(film: NumberedFilms) -> None:
    with opened(film("mp4")) as fd:
        source = await source_of(fd)
        (rendition,) = video_renditions(source.facts, packaged=False)
        small = msgspec.structs.replace(rendition, name="small", width=64, height=48)
        outline = outlined(source, rendition)
        cut = video_cut(source.facts, source.track(outline.stream), outline, 1, 3)
        large, little = await pictures(source, [rendition, small], cut)
    assert large.times == little.times
    assert large.keys == little.keys
    assert [(one.init.width, one.init.height) for one in (large, little)] == [(128, 96), (64, 48)]


async def test_frames_are_left_out_afresh_in_each_segment(tmp_path: Path) -> None:
    """Also after a segment of an odd number of frames, and wherever a run begins."""
    path = tmp_path / "fast.mkv"
    ffmpeg("-f", "lavfi", "-i", numbered(5, 50), "-c:v", "libx264", "-g", "250", "-bf", "2", path)
    with opened(path) as fd:
        source = await source_of(fd)
        rendition = msgspec.structs.replace(video_renditions(source.facts, packaged=False)[-1], frame_step=2)
        starts = [0, 51, 100, 177, 250]  # in frames of 1/50 s
        outline = outlined(source, rendition, [start * 1800 for start in starts])
        track = source.track(outline.stream)
        wanted = [list(range(start, stop, 2)) for start, stop in pairwise(starts)]
        for first, stop in ((0, 4), (1, 3), (2, 4), (3, 4)):
            (made,) = await pictures(
                source, [rendition], video_cut(source.facts, track, outline, first, stop)
            )
            kept = list(chain.from_iterable(wanted[first:stop]))
            assert [time // 1800 for time in made.times] == kept
            assert numbers(made, tmp_path / "made.mp4") == kept
            assert {start * 1800 for start in starts[first:stop]} <= set(made.keys)


async def test_few_frames_far_apart_are_kept_and_groups_are_short_where_they_can_be(tmp_path: Path) -> None:
    """A recorded screen on which little happens."""
    path = tmp_path / "screen.mp4"
    changes = "eq(n,0)+eq(n,3)+between(n,100,240)+eq(n,400)+eq(n,401)"
    ffmpeg(
        *("-f", "lavfi", "-i", numbered(20), "-vf", f"select='{changes}'", "-fps_mode", "vfr"),
        *("-c:v", "libx264", "-video_track_timescale", "1000", path),
    )
    with opened(path) as fd:
        source = await source_of(fd)
        (rendition,) = video_renditions(source.facts, packaged=False)
        outline = outlined(source, rendition)
        whole = await picture_segments(source, rendition, 0, outline.count)
        assert numbers(whole, tmp_path / "made.mp4") == [0, 3, *range(100, 241), 400, 401]
        assert set(outline.boundaries[:-1]) <= set(whole.keys)
        for number in range(outline.count):
            made = await picture_segments(source, rendition, number, number + 1)
            begin, end = outline.boundaries[number : number + 2]
            assert made.times == [time for time in whole.times if begin <= time < end]


def source_times(path: Path, index: int, start_seconds: float) -> list[float]:
    """Presentation times of the frames that are shown, sorted, from the start of the file's earliest track."""
    found = probe(path, "-show_entries", "packet=stream_index,pts_time,flags")["packets"]
    return sorted(
        float(packet["pts_time"]) - start_seconds
        for packet in found
        if packet["stream_index"] == index and "D" not in packet["flags"]
    )


def expected(path: Path, source: Source, stop: int) -> list[float]:
    """In ticks; the frames that come before `stop`."""
    assert source.facts.video is not None
    sent = source_times(path, source.facts.video.index, source.facts.start_seconds)
    return [ticks for time in sent if (ticks := time * VIDEO_TIMESCALE) < stop - TICK]


@pytest.mark.parametrize("entry", corpus("ok"), ids=lambda entry: entry["file"])
async def test_every_frame_of_the_corpus_comes_out_upright_at_its_own_time(
    entry: dict[str, Any], tmp_path: Path
) -> None:
    path = shared_file(f"corpus/{entry['file']}")
    with opened(path) as fd:
        source = await source_of(fd)
        if not (rungs := video_renditions(source.facts, packaged=False)):
            return
        outline = outlined(source, rungs[0])
        long = 6 < float(entry["ffprobe"]["duration"]) < DAY
        stop = 1 if long else outline.count
        made = await picture_segments(source, rungs[0], 0, stop)
    sent = expected(path, source, outline.boundaries[stop] if long else 1 << 60)
    assert len(made.times) == len(sent)
    # ffprobe prints microseconds, Matroska keeps milliseconds and the demuxer rebuilds what lies between.
    assert max(abs(ours - theirs) for ours, theirs in zip(made.times, sent, strict=True)) < 135
    assert max(after - before for before, after in pairwise([*made.keys, made.times[-1]])) < LONGEST_GROUP
    (tmp_path / "made.mp4").write_bytes(playable(made))
    (seen,) = probe(tmp_path / "made.mp4", "-count_frames", "-show_streams")["streams"]
    assert int(seen["nb_read_frames"]) == len(sent)
    assert (seen["codec_name"], seen["profile"], seen["pix_fmt"]) == ("h264", "High", "yuv420p")
    assert (seen["width"], seen["height"]) == (rungs[0].width, rungs[0].height)
    assert seen["level"] == rungs[0].level
    track = source.facts.video
    assert track is not None
    assert seen["width"] / seen["height"] == pytest.approx(
        track.display_size[0] / track.display_size[1], rel=0.02
    )
    assert (seen["color_space"], seen["color_range"]) == ("bt709", "tv")
    assert not seen.get("side_data_list"), "no rotation is left to do"


async def test_a_long_film_with_its_index_at_the_end_is_entered_anywhere(tmp_path: Path) -> None:
    path = shared_file("corpus/long_362s_1080p_moovend.mp4")
    with opened(path) as fd:
        source = await source_of(fd)
        rendition = video_renditions(source.facts, packaged=False)[-1]
        outline = outlined(source, rendition)
        sent = expected(path, source, 1 << 60)
        for number in (outline.count // 2, outline.count - 1):
            made = await picture_segments(source, rendition, number, number + 1)
            begin, end = outline.boundaries[number : number + 2]
            wanted = [time for time in sent if begin - TICK <= time < end - TICK]
            assert [round(time) for time in wanted] == made.times


async def test_hdr_is_mapped_to_a_picture_neither_dark_nor_washed_out(tmp_path: Path) -> None:
    """In a run of all rungs too, which are mapped together."""
    with opened(shared_file("corpus/hevc_hlg10_1080p.mp4")) as fd:
        source = await source_of(fd)
        assert source.facts.video is not None
        assert source.facts.video.is_hdr
        rungs = video_renditions(source.facts, packaged=False)
        outline = outlined(source, rungs[0])
        cut = video_cut(source.facts, source.track(outline.stream), outline, 0, 1)
        for made in await pictures(source, [rungs[0], rungs[-1]], cut):
            luma = first_lumas(playable(made), tmp_path / "sdr.mp4")
            (seen,) = probe(tmp_path / "sdr.mp4", "-show_streams")["streams"]
            assert (seen["color_transfer"], seen["color_primaries"]) == ("bt709", "bt709")
            assert min(luma) < 60
            assert max(luma) > 180
