"""What ffmpeg writes of tiles, cut; and packs that grow."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from media_service.errors import BrokenMedia, MediaRejected, NotFound, TranscodeFailed
from media_service.ffmpeg.preview_recipes import QUALITY
from media_service.mp4.boxes import build_box
from media_service.mp4.fragments import Sample, build_fragment
from media_service.store.keys import previews_tree
from media_service.store.local_blobs import LocalBlobs
from media_service.timeline.previews import Pack, Tile
from media_service.work.tiles import GrowingPack, HeaderChanged, TileCutter, growing_pack

SIZE = (64, 48)
SECOND = 1_000_000


def jpeg(color: str, *, size: tuple[int, int] = SIZE, quality: int = QUALITY) -> bytes:
    source = f"color={color}:s={size[0]}x{size[1]},format=yuvj420p"
    argv = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "1", "-q:v", str(quality)]
    argv += ["-huffman", "default", "-flags", "+bitexact", "-f", "mjpeg", "-"]
    return subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [jpeg(color) for color in ("red", "green", "blue")]


def fragment(time_us: int, picture: bytes) -> bytes:
    samples = [Sample(1, len(picture), sync=True)]
    return build_fragment(sequence=1, track_id=1, base_time=time_us, samples=samples) + picture


# --- cutting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
def test_each_picture_comes_with_its_time_however_the_bytes_come(pictures: list[bytes], piece: int) -> None:
    stream = build_box("ftyp", b"iso5") + b"".join(
        fragment(number * SECOND, picture) for number, picture in enumerate(pictures)
    )
    cutter = TileCutter()
    found = [one for at in range(0, len(stream), piece) for one in cutter.feed(stream[at : at + piece])]
    assert found == [(number * SECOND, picture) for number, picture in enumerate(pictures)]


def test_a_picture_without_a_time_is_an_error(pictures: list[bytes]) -> None:
    with pytest.raises(TranscodeFailed):
        list(TileCutter().feed(build_box("mdat", pictures[0])))


def test_what_is_too_large_for_a_tile_is_an_error_before_it_has_come() -> None:
    with pytest.raises(MediaRejected):
        list(TileCutter().feed((1 << 28).to_bytes(4) + b"mdat"))


# --- growing --------------------------------------------------------------------------------------------------


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path)


async def grown(blobs: LocalBlobs, tiles: dict[int, bytes], before: Pack | None = None) -> Pack:
    async with growing_pack(blobs, "film", SIZE, 10 * SECOND, before) as growing:
        for time_us, picture in tiles.items():
            await growing.add(time_us, picture)
        return await growing.seal(complete=before is not None)


async def read(blobs: LocalBlobs, pack: Pack) -> list[bytes]:
    async with await blobs.open(f"{previews_tree('film')}/{pack.version}") as reader:
        return [bytes(await reader.read(one.offset, one.offset + one.size)) for one in pack.tiles]


async def test_a_pack_has_its_tiles_in_the_order_of_their_times(
    blobs: LocalBlobs, pictures: list[bytes]
) -> None:
    red, green, blue = pictures
    pack = await grown(blobs, {2 * SECOND: blue, 0: red, SECOND: green})
    assert [tile.time_us for tile in pack.tiles] == [0, SECOND, 2 * SECOND]
    assert await read(blobs, pack) == pictures
    assert (pack.width, pack.height, pack.film_us, pack.complete) == (*SIZE, 10 * SECOND, False)
    assert len({picture[: pack.header_size] for picture in pictures}) == 1
    assert red[pack.header_size - 3 : pack.header_size] == b"\0\x3f\0"


async def test_a_denser_pack_begins_with_the_bytes_of_the_one_before(
    blobs: LocalBlobs, pictures: list[bytes]
) -> None:
    red, green, blue = pictures
    before = await grown(blobs, {0: red, 2 * SECOND: blue})
    pack = await grown(blobs, {SECOND: green}, before)
    assert pack.version != before.version
    assert set(before.tiles) < set(pack.tiles)
    assert await read(blobs, pack) == pictures
    assert await read(blobs, before) == [red, blue]


async def test_of_two_tiles_with_one_time_the_first_stays(blobs: LocalBlobs, pictures: list[bytes]) -> None:
    before = await grown(blobs, {0: pictures[0]})
    pack = await grown(blobs, {0: pictures[1], 1: pictures[2], 2: pictures[0]}, before)
    assert await read(blobs, pack) == [pictures[0], pictures[2], pictures[0]]


@pytest.mark.parametrize(
    "broken",
    [
        lambda good: good[:-2],
        lambda good: good + b"\0",
        lambda good: b"",
        lambda good: b"GIF89a",
        lambda good: jpeg("red", size=(48, 48)),
        lambda good: good.replace(b"\xff\xc0", b"\xff\xc2"),
    ],
)
async def test_what_is_no_tile_is_refused(blobs: LocalBlobs, pictures: list[bytes], broken: object) -> None:
    assert callable(broken)
    async with growing_pack(blobs, "film", SIZE, SECOND, None) as growing:
        with pytest.raises(BrokenMedia):
            await growing.add(0, broken(pictures[0]))
        assert growing.tiles == ()


async def test_tiles_that_do_not_go_with_those_before_are_told_apart(
    blobs: LocalBlobs, pictures: list[bytes]
) -> None:
    before = await grown(blobs, {0: pictures[0]})
    async with growing_pack(blobs, "film", SIZE, SECOND, before) as growing:
        with pytest.raises(HeaderChanged):
            await growing.add(SECOND, jpeg("green", quality=9))


async def test_what_is_not_sealed_leaves_nothing(blobs: LocalBlobs, pictures: list[bytes]) -> None:
    async def broken(growing: GrowingPack) -> None:
        await growing.add(0, pictures[0])
        raise TranscodeFailed("for the test")

    with pytest.raises(TranscodeFailed):
        async with growing_pack(blobs, "film", SIZE, SECOND, None) as growing:
            await broken(growing)
    assert await blobs.keys(previews_tree("film")) == []


async def test_a_pack_whose_blob_is_gone_cannot_grow(blobs: LocalBlobs, pictures: list[bytes]) -> None:
    gone = Pack("gone", *SIZE, 500, False, SECOND, (Tile(0, 0, 600),))
    with pytest.raises(NotFound):
        await grown(blobs, {SECOND: pictures[0]}, gone)
    assert await blobs.keys(previews_tree("film")) == []
