"""Storyboards: which part of which sheet shows what time. For media-chrome, Vidstack, Shaka and video.js plugins.

A sheet is a run of tiles one below the other (`jpeg.sheets`): {n}.jpg in the folder SHEETS beside the storyboard.
"""

from __future__ import annotations

import json

from media_service.timeline.previews import Pack, shown

SHEETS = "storyboard"
SHEET_TILES = 25  # of one sheet: 100 to 200 kB, which is what a player fetches for the first preview it shows
SHEET_PIXELS = 4096  # of its height: the largest picture that all graphics chips hold in one piece

VTT_TYPE = (
    "text/vtt"  # exactly so, and the other too: Vidstack compares it, and takes no parameters behind it
)
JSON_TYPE = "application/json"
_TEXT = b'"text":"'  # before each cue's path, and nowhere else: no path has quotes


def rows(pack: Pack) -> int:
    """How many tiles a sheet has; the last one may have fewer."""
    return min(SHEET_TILES, SHEET_PIXELS // pack.height)


def sheet_count(pack: Pack) -> int:
    """How many sheets there are."""
    return -(-len(pack.tiles) // rows(pack))


def sheet_tiles(pack: Pack, number: int) -> range:
    """The numbers of the tiles of a sheet, from its top down."""
    return range(number * rows(pack), min((number + 1) * rows(pack), len(pack.tiles)))


def webvtt(pack: Pack) -> str:
    """A cue for each tile (WebVTT s4.1); its text is where to find it, relative to the folder that the storyboard is in."""
    lines = ["WEBVTT"]
    for number, (begin, stop) in enumerate(shown(pack)):
        # There are no finer times. Rounded up, so that at the beginning of a cue its own frame is on the screen.
        first, last = -(-begin // 1000), -(-stop // 1000)
        times = f"{_timestamp(first)} --> {_timestamp(max(last, first + 1))}"
        lines += ["", times, _place(pack, number)]
    return "\n".join(lines) + "\n"


def cues(pack: Pack, folder: str) -> str:
    """The same cues as JSON, as Vidstack reads them; `folder` is the path of the one that the storyboard is in.

    Vidstack resolves them against the storyboard's address only where that has a scheme, else against its page's: with a
    path from the root both are right. In its other shape, with `url` and `tiles`, all tiles would have to be on one sheet.
    """
    made = [
        {
            "startTime": begin / 1_000_000,
            "endTime": stop / 1_000_000,
            "text": f"{folder}/{_place(pack, number)}",
        }
        for number, (begin, stop) in enumerate(shown(pack))
    ]
    return json.dumps(made, separators=(",", ":"))


def prefixed(made: bytes, prefix: str) -> bytes:
    """`cues` in UTF-8, with `prefix` before each path: 2 ms for the most there are, where writing them takes 50."""
    return made.replace(_TEXT, _TEXT + prefix.encode())


def _place(pack: Pack, number: int) -> str:
    sheet, row = divmod(number, rows(pack))
    top, width, height = row * pack.height, pack.width, pack.height
    # Media Fragments URI 1.0 s4.2.2, in the order that all players take: without "pixel:".
    return f"{SHEETS}/{sheet}.jpg?v={pack.version}#xywh=0,{top},{width},{height}"


def _timestamp(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
