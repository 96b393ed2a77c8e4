"""JPEGs for tests: a small one written by hand, and real ones of ffmpeg's."""

from __future__ import annotations

from pathlib import Path

from tests.support.media import ffmpeg


def segment(marker: int, payload: str) -> bytes:
    """A marker segment; the payload in hexadecimal."""
    data = bytes.fromhex(payload)
    return bytes((0xFF, marker)) + (2 + len(data)).to_bytes(2, "big") + data


HEADER = b"".join(
    (
        b"\xff\xd8",
        segment(0xE0, "4a46494600 0102 00 0001 0001 0000"),
        segment(0xDB, "00 10"),
        segment(0xC4, "00 01 02"),
        segment(0xC0, "08 0030 0020 03 01 22 00 02 11 01 03 11 01"),  # 32 x 48, 4:2:0
        segment(0xDA, "03 01 00 02 11 03 11 00 3f 00"),
    )
)
JPEG = HEADER + b"\x12\x34\xff\0\x56" + b"\xff\xd9"

# As the packs of the service are made: one slice, fixed tables, nothing said of who wrote it.
TILE = ["-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", "4", "-huffman", "default", "-threads", "1"]
TILE += ["-flags", "+bitexact", "-fflags", "+bitexact"]


def ffmpeg_tiles(directory: Path, size: tuple[int, int], count: int) -> list[bytes]:
    """So many different pictures of that size, all with one header."""
    width, height = size
    source = f"testsrc2=size={width}x{height}:rate=1:duration={count}"
    ffmpeg("-f", "lavfi", "-i", source, *TILE, directory / "%03d.jpg")
    return [path.read_bytes() for path in sorted(directory.glob("*.jpg"))]


def pixels(directory: Path, jpeg: bytes) -> bytes:
    """The decoded picture: its planes in yuvj420p, one after another. Fails on whatever the decoder complains of."""
    (directory / "in.jpg").write_bytes(jpeg)
    out = directory / "out.yuv"
    ffmpeg(
        "-xerror",
        "-err_detect",
        "explode",
        "-i",
        directory / "in.jpg",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuvj420p",
        out,
    )
    return out.read_bytes()
