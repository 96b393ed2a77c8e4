"""The rules of HLS (RFC 8216; where it says so, draft-pantos-hls-rfc8216bis), checked without any code of ours.

Each function raises AssertionError with the section that a playlist breaks. Only tags that a film on demand has are known:
any other is an error here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tests.support.hls_syntax import (
    FLOATING,
    IFRAME_ATTRIBUTES,
    IMAGE_ATTRIBUTES,
    INTEGER,
    MEDIA_ATTRIBUTES,
    ONLY_MASTER,
    ONLY_MEDIA,
    QUOTED,
    STREAM_ATTRIBUTES,
    TILES_ATTRIBUTES,
    Attributes,
    attributes_of,
    lines_of,
    version_of,
)


@dataclass(frozen=True)
class Variant:
    """EXT-X-STREAM-INF and its URI."""

    attributes: Attributes
    uri: str


@dataclass(frozen=True)
class Master:
    """A multivariant playlist; `media`, `iframes` and `images` are the attributes of EXT-X-MEDIA, EXT-X-I-FRAME-STREAM-INF
    and EXT-X-IMAGE-STREAM-INF."""

    version: int
    independent: bool
    media: tuple[Attributes, ...]
    variants: tuple[Variant, ...]
    iframes: tuple[Attributes, ...]
    images: tuple[Attributes, ...]

    def group(self, kind: str, name: str) -> tuple[Attributes, ...]:
        """The members of a group of that TYPE."""
        return tuple(one for one in self.media if (one["TYPE"], one["GROUP-ID"]) == (kind, name))

    @property
    def uris(self) -> set[str]:
        """Of all playlists."""
        return {
            *(variant.uri for variant in self.variants),
            *(one["URI"] for one in (*self.media, *self.iframes, *self.images) if "URI" in one),
        }


@dataclass(frozen=True)
class Segment:
    """`seconds` as EXTINF has them; `span` is the half-open byte range."""

    uri: str
    seconds: Fraction
    span: tuple[int, int] | None


@dataclass(frozen=True)
class Media:
    """A media playlist."""

    version: int
    target: int
    independent: bool
    iframes_only: bool
    images_only: bool
    map_uri: str | None
    segments: tuple[Segment, ...]

    @property
    def seconds(self) -> Fraction:
        """How long it all lasts."""
        return sum((segment.seconds for segment in self.segments), Fraction(0))


def check_master(text: str) -> Master:
    """The multivariant playlist, if it is one by all rules."""
    version, independent = 1, False
    media: list[Attributes] = []
    variants: list[Variant] = []
    iframes: list[Attributes] = []
    images: list[Attributes] = []
    pending: Attributes | None = None
    for tag, value in lines_of(text, ONLY_MASTER):
        if tag is None:
            assert pending is not None, "s4.3.4.2: a URI follows its EXT-X-STREAM-INF"
            variants.append(Variant(pending, value))
            pending = None
            continue
        assert pending is None, "s4.3.4.2: the URI line follows EXT-X-STREAM-INF at once"
        if tag == "EXT-X-VERSION":
            version = version_of(value)
        elif tag == "EXT-X-INDEPENDENT-SEGMENTS":
            independent = True
        elif tag == "EXT-X-MEDIA":
            media.append(_media(value))
        elif tag == "EXT-X-STREAM-INF":
            pending = _stream(value, STREAM_ATTRIBUTES)
        else:
            found, forms = (
                (images, IMAGE_ATTRIBUTES)
                if tag == "EXT-X-IMAGE-STREAM-INF"
                else (iframes, IFRAME_ATTRIBUTES)
            )
            found.append(_stream(value, forms))
            assert "URI" in found[-1], f"s4.3.4.3: {tag} needs a URI"
    assert pending is None, "s4.3.4.2: the last EXT-X-STREAM-INF has no URI"
    assert variants, "s4.3.4: without variants there is nothing to play"
    master = Master(version, independent, tuple(media), tuple(variants), tuple(iframes), tuple(images))
    _check_groups(master)
    for variant in variants:
        for kind in ("AUDIO", "SUBTITLES"):
            name = variant.attributes.get(kind)
            assert name is None or master.group(kind, name), f"s4.3.4.2: no group {name!r} of type {kind}"
    captions = {variant.attributes.get("CLOSED-CAPTIONS") for variant in variants if _shows(variant)}
    assert len(captions) <= 1, "s4.3.4.2: CLOSED-CAPTIONS=NONE is of all variants or of none"
    return master


def check_media(text: str) -> Media:
    """The media playlist, if it is one by all rules, and of a film that is all there."""
    tags: dict[str, str] = {}
    segments: list[Segment] = []
    seconds: Fraction | None = None
    span: tuple[int, int] | None = None
    needed = 1
    for tag, value in lines_of(text, ONLY_MEDIA):
        assert "EXT-X-ENDLIST" not in tags or tag is not None, "no segment follows the end of the list"
        if tag is None:
            assert seconds is not None, "s4.3.2.1: EXTINF is required for each segment"
            segments.append(Segment(value, seconds, span))
            seconds = span = None
        elif tag == "EXTINF":
            assert seconds is None, "s4.3.2.1: EXTINF applies to the next segment"
            duration, comma, _ = value.partition(",")
            assert comma, "s4.3.2.1: a comma follows the duration"
            assert FLOATING.fullmatch(duration), f"s4.2: {duration!r} is no decimal number"
            needed = max(needed, 3 if "." in duration else 1)
            seconds = Fraction(duration)
            assert seconds > 0, "an empty segment"
        elif tag == "EXT-X-BYTERANGE":
            span = _byte_range(value, segments)
            needed = max(needed, 4)
        elif tag == "EXT-X-TILES":
            tiles = attributes_of(value, TILES_ATTRIBUTES)
            assert seconds is not None, "tiles are of the segment that EXTINF has begun"
            across, down = map(int, tiles["LAYOUT"].split("x"))
            assert Fraction(tiles["DURATION"]) * across * down == seconds, (
                "the tiles last as long as their picture"
            )
        else:
            if tag in {"EXT-X-MAP", "EXT-X-MEDIA-SEQUENCE"}:
                assert not segments, f"{tag} comes before the first segment"
            tags[tag] = value
    assert seconds is None, "s4.3.2.1: the last EXTINF has no segment"
    assert segments, "an empty playlist"
    return _whole_media(tags, segments, needed)


def _whole_media(tags: dict[str, str], segments: list[Segment], needed: int) -> Media:
    iframes_only = "EXT-X-I-FRAMES-ONLY" in tags
    needed = max(needed, 4 if iframes_only else 1)
    map_uri = None
    if "EXT-X-MAP" in tags:
        map_uri = attributes_of(tags["EXT-X-MAP"], {"URI": QUOTED, "BYTERANGE": QUOTED}).get("URI")
        assert map_uri, "s4.3.2.5: EXT-X-MAP needs a URI"
        needed = max(needed, 5 if iframes_only else 6)
    fragments = any(segment.uri.partition("?")[0].endswith((".m4s", ".mp4")) for segment in segments)
    assert map_uri or not fragments, "s3.3: fragmented MP4 needs EXT-X-MAP"
    version = version_of(tags.get("EXT-X-VERSION", "1"))
    assert version >= needed, f"s7: version {version} says less than what is used, {needed}"
    assert "EXT-X-TARGETDURATION" in tags, "s4.3.3.1: EXT-X-TARGETDURATION is required"
    target = tags["EXT-X-TARGETDURATION"]
    assert INTEGER.fullmatch(target), "s4.3.3.1: the target duration is a decimal-integer"
    for segment in segments:
        rounded = (segment.seconds + Fraction(1, 2)).__floor__()
        assert rounded <= int(target), f"s4.3.3.1: {segment.uri} lasts longer than the target duration"
    assert INTEGER.fullmatch(tags.get("EXT-X-MEDIA-SEQUENCE", "0")), "s4.3.3.2: a decimal-integer"
    assert tags.get("EXT-X-PLAYLIST-TYPE", "VOD") == "VOD", "s4.3.3.5: a film that is all there"
    assert "EXT-X-ENDLIST" in tags, "s4.3.3.4: what never changes has an end"
    assert len({(one.uri, one.span) for one in segments}) == len(segments), "a segment is there twice"
    return Media(
        version,
        int(target),
        "EXT-X-INDEPENDENT-SEGMENTS" in tags,
        iframes_only,
        "EXT-X-IMAGES-ONLY" in tags,
        map_uri,
        tuple(segments),
    )


def check_presentation(master: Master, playlists: Mapping[str, Media]) -> None:
    """What holds between a multivariant playlist and the media playlists of its URIs (s6.2.4)."""
    assert set(playlists) == master.uris, "every URI of the multivariant playlist, and no others"
    subtitles = {one["URI"] for one in master.media if one["TYPE"] == "SUBTITLES"}
    targets = {
        media.target
        for uri, media in playlists.items()
        if uri not in subtitles and not media.iframes_only and not media.images_only
    }
    assert len(targets) == 1, f"s6.2.4: all variants have the same target duration, not {targets}"
    for iframe in master.iframes:
        assert playlists[iframe["URI"]].iframes_only, "s4.3.4.3: EXT-X-I-FRAMES-ONLY is required"
    for image in master.images:
        assert "RESOLUTION" in image, "without it Shaka does not know what it shows"
        assert playlists[image["URI"]].images_only, "EXT-X-IMAGES-ONLY says that these are pictures"
    if master.independent:
        media = [one for uri, one in playlists.items() if uri not in subtitles and not one.images_only]
        assert all(one.independent for one in media), "s4.3.5.1: said of all, but not by each"


def _media(text: str) -> Attributes:
    found = attributes_of(text, MEDIA_ATTRIBUTES)
    for name in ("TYPE", "GROUP-ID", "NAME"):
        assert found.get(name), f"s4.3.4.1: EXT-X-MEDIA needs {name}"
    assert "URI" in found or found["TYPE"] != "SUBTITLES", "s4.3.4.1: subtitles need a URI"
    assert found["TYPE"] == "SUBTITLES" or "FORCED" not in found, "s4.3.4.1: FORCED is for subtitles"
    if found.get("DEFAULT") == "YES":
        assert found.get("AUTOSELECT", "YES") == "YES", "s4.3.4.1: DEFAULT=YES means AUTOSELECT=YES"
    return found


def _stream(text: str, forms: Mapping[str, re.Pattern[str]]) -> Attributes:
    found = attributes_of(text, forms)
    assert "BANDWIDTH" in found, "s4.3.4.2: BANDWIDTH is required"
    assert int(found["BANDWIDTH"]) > 0, "s4.3.4.2: a positive bit rate"
    average = int(found.get("AVERAGE-BANDWIDTH", 0))
    assert average <= int(found["BANDWIDTH"]), "s4.3.4.2: an average is not above the peak"
    assert "CODECS" in found, "s4.3.4.2: CODECS should be there"
    codecs = found["CODECS"].split(",")
    assert len(codecs) == len(set(codecs)), "s4.3.4.2: each format once"
    assert Fraction(found.get("FRAME-RATE", "1")) > 0, "s4.3.4.2: a frame rate is positive"
    return found


def _check_groups(master: Master) -> None:
    groups: dict[tuple[str, str], list[Attributes]] = {}
    for one in master.media:
        groups.setdefault((one["TYPE"], one["GROUP-ID"]), []).append(one)
    alike: dict[str, list[Attributes]] = {}
    for (kind, name), members in groups.items():
        names = [member["NAME"] for member in members]
        assert len(names) == len(set(names)), f"s4.3.4.1.1: a NAME is twice in {name!r}"
        defaults = [member for member in members if member.get("DEFAULT") == "YES"]
        assert len(defaults) <= 1, f"s4.3.4.1.1: more than one default in {name!r}"
        chosen = [
            (member.get("LANGUAGE"), member.get("FORCED", "NO"))
            for member in members
            if member.get("AUTOSELECT") == "YES"
        ]
        assert len(chosen) == len(set(chosen)), f"s4.3.4.1.1: AUTOSELECT cannot tell members of {name!r}"
        plain = [
            {key: value for key, value in member.items() if key not in {"URI", "CHANNELS", "GROUP-ID"}}
            for member in members
        ]
        assert alike.setdefault(kind, plain) == plain, f"s4.3.4.2.1: groups of {kind} differ"


def _shows(variant: Variant) -> bool:
    return "RESOLUTION" in variant.attributes


def _byte_range(value: str, segments: list[Segment]) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]+)(?:@([0-9]+))?", value)
    assert match, f"s4.3.2.2: {value!r} is no byte range"
    if match[2] is None:
        assert segments, "s4.3.2.2: without an offset it follows the range before"
        assert segments[-1].span is not None, "s4.3.2.2: without an offset it follows the range before"
    start = int(match[2]) if match[2] is not None else (segments[-1].span or (0, 0))[1]
    assert int(match[1]) > 0, "an empty byte range"
    return start, start + int(match[1])
