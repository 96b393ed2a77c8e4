"""The syntax of HLS playlists (RFC 8216 s4.1, s4.2): lines, tags, attribute-lists; see `hls_rules`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

BOTH = {"EXTM3U", "EXT-X-VERSION", "EXT-X-INDEPENDENT-SEGMENTS"}
# EXT-X-IMAGE-STREAM-INF, EXT-X-IMAGES-ONLY and EXT-X-TILES are of the proposal "Image Media Playlists", not of the RFC.
ONLY_MASTER = {"EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-IMAGE-STREAM-INF"}
ONLY_MEDIA = {
    "EXTINF",
    "EXT-X-BYTERANGE",
    "EXT-X-MAP",
    "EXT-X-TARGETDURATION",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-ENDLIST",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-I-FRAMES-ONLY",
    "EXT-X-IMAGES-ONLY",
    "EXT-X-TILES",
}
MANY = {
    "EXT-X-MEDIA",
    "EXT-X-STREAM-INF",
    "EXT-X-I-FRAME-STREAM-INF",
    "EXT-X-IMAGE-STREAM-INF",
    "EXTINF",
    "EXT-X-BYTERANGE",
    "EXT-X-TILES",
}

INTEGER = re.compile(r"[0-9]{1,20}")
FLOATING = re.compile(r"[0-9]+(\.[0-9]+)?")
RESOLUTION = re.compile(r"[1-9][0-9]*x[1-9][0-9]*")
QUOTED = re.compile(r'"[^"\r\n]*"')
ENUMERATED = re.compile(r'[^",\s]+')
YES_NO = re.compile(r"YES|NO")
LANGUAGE = re.compile(r'"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*"')  # RFC 5646 s2.1, roughly
CODECS = re.compile(r'"[A-Za-z0-9]+(\.[A-Za-z0-9.\-]+)?(,[A-Za-z0-9]+(\.[A-Za-z0-9.\-]+)?)*"')  # RFC 6381

MEDIA_ATTRIBUTES = {
    "TYPE": re.compile("AUDIO|VIDEO|SUBTITLES"),
    "URI": QUOTED,
    "GROUP-ID": QUOTED,
    "LANGUAGE": LANGUAGE,
    "NAME": QUOTED,
    "DEFAULT": YES_NO,
    "AUTOSELECT": YES_NO,
    "FORCED": YES_NO,
    "CHANNELS": re.compile(r'"[1-9][0-9]*(/[^"]*)?"'),
}
IFRAME_ATTRIBUTES = {
    "BANDWIDTH": INTEGER,
    "AVERAGE-BANDWIDTH": INTEGER,
    "CODECS": CODECS,
    "RESOLUTION": RESOLUTION,
    "VIDEO-RANGE": re.compile("SDR|HLG|PQ"),  # bis s4.4.6.2
    "URI": QUOTED,
}
IMAGE_ATTRIBUTES = {name: form for name, form in IFRAME_ATTRIBUTES.items() if name != "VIDEO-RANGE"}
TILES_ATTRIBUTES = {"RESOLUTION": RESOLUTION, "LAYOUT": RESOLUTION, "DURATION": FLOATING}
STREAM_ATTRIBUTES = {
    **{name: form for name, form in IFRAME_ATTRIBUTES.items() if name != "URI"},
    "FRAME-RATE": re.compile(r"[0-9]+(\.[0-9]{1,3})?"),
    "AUDIO": QUOTED,
    "SUBTITLES": QUOTED,
    "CLOSED-CAPTIONS": re.compile("NONE"),
}

Attributes = dict[str, str]  # quotation marks taken off


def lines_of(text: str, allowed: set[str]) -> Iterator[tuple[str | None, str]]:
    """Tags with their values, and (None, URI)."""
    assert not text.startswith("\ufeff"), "s4.1: no byte order mark"
    assert text.encode("utf-8"), "s4.1: UTF-8"
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", text), "s4.1: no control characters"
    assert text.endswith("\n"), "s4.1: each line ends"
    lines = text.replace("\r\n", "\n").split("\n")[:-1]
    assert lines[0] == "#EXTM3U", "s4.3.1.1: EXTM3U is the first line"
    seen: set[str] = set()
    for line in lines:
        assert line == line.strip(), "s4.1: no white space around a line"
        if not line.startswith("#"):
            assert line, "s4.1: blank lines are ignored, and useless here"
            assert re.fullmatch(r"[!$&-;=?-Z_a-z~%]+", line), f"s4.1: {line!r} is no URI (RFC 3986)"
            yield None, line
            continue
        tag, _, value = line[1:].partition(":")
        assert tag in BOTH | allowed, f"s4.3: {tag} does not belong here"
        assert tag in MANY or tag not in seen, f"s4.3: {tag} is there twice"
        seen.add(tag)
        if tag != "EXTM3U":
            yield tag, value


def version_of(text: str) -> int:
    assert INTEGER.fullmatch(text), "s4.3.1.2: the version is an integer"
    assert 1 <= int(text) <= 13, "s7: no such version"
    return int(text)


def attributes_of(text: str, forms: Mapping[str, re.Pattern[str]]) -> Attributes:
    """An attribute-list (s4.2), each value of the form that its name asks for."""
    found: Attributes = {}
    position = 0
    while position < len(text):
        match = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(,(?=.)|$)').match(text, position)
        assert match, f"s4.2: no attribute-list from {text[position:]!r} on"
        name, value, _ = match.groups()
        assert name not in found, f"s4.2: {name} is there twice"
        assert name in forms, f"s4.3: unknown attribute {name}"
        assert forms[name].fullmatch(value), f"s4.2: {name} cannot be {value}"
        found[name] = value.strip('"')
        position = match.end()
    return found
