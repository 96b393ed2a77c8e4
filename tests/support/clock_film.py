"""A film that tells its own time: each frame's number is a bar code in the picture, and each second begins with a beep.

What a player shows can then be read from its pixels, whatever it was encoded to. Cells, not digits, are for machines: a
cell is a tenth of the picture's height even at 240p and survives any encoder. Digits beside them are for people.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

FPS = 25
SECONDS = 1800
SIZE = (640, 360)  # pixels

# Pictures are drawn this small and made larger by ffmpeg, neighbour by neighbour: 45,000 of them take seconds.
_WIDTH, _HEIGHT = 160, 90
_BITS = 16
_CELL = _WIDTH // _BITS
_BLACK, _WHITE, _PAPER, _INK = b"\x10", b"\xeb", b"\x50", b"\xc8"
# Rows of the small picture: the number, the same with black and white exchanged, and the time in digits.
_CODE, _INVERSE, _DIGITS = range(8, 26), range(26, 44), range(60, 74)
_GLYPHS = {  # 5 x 7 cells, row by row
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00010 00100 01000 11111",
    "3": "11111 00010 00100 00010 00001 10001 01110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    ":": "00000 00100 00100 00000 00100 00100 00000",
    ".": "00000 00000 00000 00000 00000 01100 01100",
}

# JavaScript: a function that reads the number of the frame that a <video> shows; null when the two rows disagree, as
# they do in a picture that is not of this film.
READ_FRAME = f"""(video) => {{
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [{_WIDTH}, {_HEIGHT}];
  const context = canvas.getContext("2d", {{ willReadFrequently: true }});
  context.drawImage(video, 0, 0, {_WIDTH}, {_HEIGHT});
  const row = (y) => {{
    const pixels = context.getImageData(0, y, {_WIDTH}, 1).data;
    return Array.from({{ length: {_BITS} }}, (_, bit) => pixels[4 * (bit * {_CELL} + {_CELL // 2}) + 1] > 127);
  }};
  const [code, inverse] = [row({_CODE[len(_CODE) // 2]}), row({_INVERSE[len(_INVERSE) // 2]})];
  if (code.some((on, bit) => on === inverse[bit])) return null;
  return code.reduce((number, on) => 2 * number + on, 0);
}}"""


def picture(number: int) -> bytes:
    """The frame of that number: 160 x 90 bytes of luma in limited range."""
    bits = f"{number:0{_BITS}b}"
    code = b"".join((_WHITE if bit == "1" else _BLACK) * _CELL for bit in bits)
    inverse = b"".join((_BLACK if bit == "1" else _WHITE) * _CELL for bit in bits)
    paper = _PAPER * _WIDTH
    gap = _INVERSE.stop, _DIGITS.start
    return b"".join(
        (
            paper * _CODE.start,
            code * len(_CODE),
            inverse * len(_INVERSE),
            paper * (gap[1] - gap[0]),
            _text(_time(number)),
            paper * (_HEIGHT - _DIGITS.stop),
        )
    )


def make_clock_film(path: Path, seconds: int = SECONDS) -> Path:
    """Write the film and return its path. The name's end decides what it is encoded to.

    .mp4: H.264 with B-frames and AAC, which players decode. .mkv: MPEG-4 Part 2 and MP2, which browsers do not.
    """
    # A keyframe every 4 s at least. With B-frames the order of the file is another one than that on the screen.
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "100", "-c:a", "aac"]
    if path.suffix == ".mkv":
        coding = ["-c:v", "mpeg4", "-q:v", "3", "-g", "100", "-c:a", "mp2"]
    width, height = SIZE
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    argv += [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-s",
        f"{_WIDTH}x{_HEIGHT}",
        "-r",
        str(FPS),
        "-i",
        "pipe:0",
    ]
    argv += ["-f", "lavfi", "-i", f"sine=frequency=440:beep_factor=4:sample_rate=48000:duration={seconds}"]
    argv += ["-vf", f"scale={width}:{height}:flags=neighbor:in_range=tv:out_range=tv,format=yuv420p"]
    with subprocess.Popen([*argv, *coding, "-b:a", "64k", str(path)], stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for number in range(seconds * FPS):
            encoder.stdin.write(picture(number))
        encoder.stdin.close()
        assert encoder.wait() == 0
    return path


def _time(number: int) -> str:
    """0:12:34.240"""
    seconds, frames = divmod(number, FPS)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}.{frames * 1000 // FPS:03}"


def _text(words: str) -> bytes:
    """The digits as the rows _DIGITS, each cell two pixels wide and high."""
    rows = []
    for line in range(7):
        cells = "0".join(_GLYPHS[letter].split()[line] for letter in words)
        row = b"".join((_INK if cell == "1" else _PAPER) * 2 for cell in cells)
        rows.append(row.center(_WIDTH, _PAPER) * 2)
    return b"".join(rows)
