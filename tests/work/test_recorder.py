"""The recorder on what ffmpeg really writes: however the bytes come, the same segments."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from media_service.errors import MediaRejected, TranscodeFailed, TranscodeIncomplete
from media_service.ffmpeg.recipes import FRAGMENTED
from media_service.mp4.boxes import walk
from media_service.mp4.fragments import read_fragment, unpack_samples
from media_service.store.records import Asset, Rendition, Segment
from media_service.work import recorder as module
from media_service.work.recorder import AAC_PRIMING_TICKS, Recorder
from tests.support.media import ffmpeg
from tests.support.workshop import Workshop

PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=64x36:rate=25:duration=4", "-c:v", "libx264", "-g", "25"]
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=4", "-c:a", "aac"]
FRAGMENTS = ["-movflags", FRAGMENTED, "-avoid_negative_ts", "disabled", "-f", "mp4"]
ASSET = Asset(
    id="one",
    title="A film",
    filename="one.mp4",
    extension="mp4",
    media_type="video/mp4",
    size=1,
    sha256="ab" * 32,
    state="playable",
    created_at=1,
    updated_at=1,
)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Four seconds of picture, a keyframe and so a fragment every second."""
    path = tmp_path_factory.mktemp("picture") / "picture.mp4"
    ffmpeg(*PICTURE, *FRAGMENTS, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Four seconds of sound in fragments of one second."""
    path = tmp_path_factory.mktemp("sound") / "sound.mp4"
    ffmpeg(*SOUND, "-frag_duration", "1000000", *FRAGMENTS, path)
    return path.read_bytes()


@dataclass
class Recorded:
    """What the catalog and the store have of a run."""

    recorder: Recorder
    rendition: Rendition
    segments: list[Segment]
    blob: bytes
    commits: list[int] = field(default_factory=list)


async def chunks(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def record(
    workshop: Workshop, pieces: Iterable[bytes], name: str = "720p", stop: float = 0.0
) -> Recorded:
    """Record the pieces as a whole run."""
    if not await workshop.catalog.asset_ids():
        await workshop.catalog.add_asset(ASSET)
    await workshop.catalog.put_rendition(
        Rendition(asset_id="one", name=name, kind="audio" if name == "audio" else "video", blob="one/runs/x")
    )
    commits: list[int] = []
    async with await workshop.blobs.create("one/runs/x") as writer:
        recorder = Recorder(
            catalog=workshop.catalog,
            asset_id="one",
            name=name,
            writer=writer,
            changed=lambda: commits.append(writer.size),
        )
        await recorder.record(chunks(pieces))
        await recorder.finish(stop)
        blob = (workshop.root / "one/runs/x").read_bytes()
    (rendition,) = [one for one in await workshop.catalog.renditions("one") if one.name == name]
    return Recorded(recorder, rendition, await workshop.catalog.segments("one", name), blob, commits)


def splits(data: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.sample(range(1, len(data)), 40))
    return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def payloads(stream: bytes) -> bytes:
    return b"".join(stream[box.payload_start : box.stop] for box in walk(stream) if box.type == "mdat")


@pytest.mark.parametrize("how", ["split at random", "byte by byte"])
async def test_however_the_bytes_come_the_segments_are_the_same(
    workshop: Workshop, picture: bytes, how: str
) -> None:
    whole = await record(workshop, [picture], "720p")
    pieces = [bytes([byte]) for byte in picture]
    if how == "split at random":
        pieces = splits(picture, random.Random(7))
    other = await record(workshop, pieces, "360p")
    assert [msgspec.structs.replace(one, rendition="720p") for one in other.segments] == whole.segments
    assert other.blob == whole.blob
    assert other.rendition.init == whole.rendition.init


async def test_each_segment_is_a_fragment_with_the_encoders_own_bytes(
    workshop: Workshop, picture: bytes
) -> None:
    done = await record(workshop, [picture])
    assert [one.number for one in done.segments] == [0, 1, 2, 3]
    position = clock = 0
    for one in done.segments:
        assert (one.start, one.begin_ticks) == (position, clock)
        data = done.blob[one.start : one.stop]
        assert [box.type for box in walk(data)] == ["moof", "mdat"]
        moof, mdat = walk(data)
        fragment = read_fragment(data[: moof.stop])
        assert fragment.sequence == one.number + 1
        assert fragment.samples == unpack_samples(one.samples)
        assert fragment.samples[0].sync
        assert one.start + mdat.payload_start == one.payload_start
        position, clock = one.stop, one.begin_ticks + one.duration_ticks
    assert payloads(done.blob) == payloads(picture)
    assert done.recorder.frames == sum(len(unpack_samples(one.samples)) for one in done.segments) == 100


async def test_the_rendition_tells_codec_clock_length_and_bandwidth(
    workshop: Workshop, picture: bytes
) -> None:
    done = await record(workshop, [picture])
    assert done.rendition.state == "encoding"
    assert done.rendition.codecs is not None
    assert done.rendition.codecs.startswith("avc1.64")
    assert done.rendition.encoded_seconds == pytest.approx(4.0)
    rates = [8 * (one.stop - one.start) for one in done.segments]  # each lasts a second
    assert done.rendition.bandwidth == max(rates)
    assert done.rendition.average_bandwidth == pytest.approx(sum(rates) / 4, abs=1)


async def test_commits_are_gathered_and_name_only_bytes_that_are_there(
    workshop: Workshop, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered = await record(workshop, [picture], "720p")
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.0)
    each = await record(workshop, [picture], "360p")
    assert len(gathered.commits) < len(each.commits) == 4
    assert each.commits == [one.stop for one in each.segments]


async def test_the_packet_that_primes_decoders_is_dropped(workshop: Workshop, sound: bytes) -> None:
    first = read_fragment(next(sound[box.start : box.stop] for box in walk(sound) if box.type == "moof"))
    assert first.base_time == -AAC_PRIMING_TICKS
    done = await record(workshop, [sound], "audio")
    assert done.segments[0].begin_ticks == 0
    assert payloads(done.blob) == payloads(sound)[first.samples[0].size :]


async def test_the_priming_is_dropped_too_where_the_sound_begins_late(
    workshop: Workshop, tmp_path: Path
) -> None:
    late = tmp_path / "late.mp4"
    ffmpeg(*SOUND, "-af", "asetpts=PTS+0.5/TB", "-frag_duration", "1000000", *FRAGMENTS, late)
    done = await record(workshop, [late.read_bytes()], "audio")
    assert done.segments[0].begin_ticks == 24000


async def test_the_last_frame_lasts_until_the_film_ends(workshop: Workshop, picture: bytes) -> None:
    done = await record(workshop, [picture], stop=6.5)
    assert done.rendition.timescale is not None
    last = done.segments[-1]
    assert (last.begin_ticks + last.duration_ticks) / done.rendition.timescale == pytest.approx(6.5)
    assert done.recorder.encoded_seconds == pytest.approx(4.0)


async def test_a_stream_that_ends_in_the_middle_is_a_failure(workshop: Workshop, picture: bytes) -> None:
    with pytest.raises(TranscodeFailed, match="ends in the middle"):
        await record(workshop, [picture[:-1]])
    assert not (workshop.root / "one/runs/x").exists()


async def test_a_stream_without_pictures_is_incomplete(workshop: Workshop, picture: bytes) -> None:
    start = next(box.start for box in walk(picture) if box.type == "moof")
    for stream in (b"", picture[:start]):
        with pytest.raises(TranscodeIncomplete):
            await record(workshop, [stream])


async def test_media_without_its_description_is_a_failure(workshop: Workshop, picture: bytes) -> None:
    media = next(picture[box.start : box.stop] for box in walk(picture) if box.type == "mdat")
    with pytest.raises(TranscodeFailed):
        await record(workshop, [media])


async def test_what_is_no_mp4_is_an_error_of_the_table(workshop: Workshop) -> None:
    with pytest.raises((MediaRejected, TranscodeFailed)):
        await record(workshop, [b"<html>" * 1000])
