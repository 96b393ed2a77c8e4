"""HLS playlists as text (RFC 8216 and its successor, draft-pantos-hls-rfc8216bis), from the outline of a film.

They are complete from the first second on and never change, but for the bandwidths that are measured later. Durations are
exact: a rounded EXTINF adds up over a film, and then every seek lands beside its aim.

URIs are relative to /media/{id}/hls/: master.m3u8, {rendition}/index.m3u8, subtitles-{n}/index.m3u8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from media_service.timeline.bandwidth import target_duration
from media_service.timeline.hls_groups import (
    SUBTITLES,
    Group,
    sound_groups,
    sound_tags,
    subtitle_tags,
)
from media_service.timeline.hls_text import attributes, exact_seconds, quoted
from media_service.timeline.outline import SOURCE, Outline, OutlineRendition, SubtitleTrack

MEDIA_TYPE = "application/vnd.apple.mpegurl"
# EXT-X-MAP in a playlist that is not only I-frames needs 6 (RFC 8216 s7); nothing here needs more.
VERSION = 6

# Nobody knows the network yet when the first variant is played (hls.js and AVPlayer take the first in the list). The source's
# own picture costs no encoder and is there at once, so it is first, unless it needs more than most homes have.
SOURCE_FIRST_BITS_PER_SECOND = 10_000_000
# Otherwise the largest that takes no more than this on average, which Apple recommends for the start (HLS Authoring
# Specification for Apple Devices).
FIRST_BITS_PER_SECOND = 2_000_000

Measured = Mapping[
    str, tuple[int, int]
]  # rendition -> its peak and average in bits/s, once all of it is made


def master(
    outline: Outline,
    measured: Measured,
    iframes: Collection[str],
    *,
    begins_at: int = 0,
    images: Collection[str] = (),
) -> str:
    """The multivariant playlist (RFC 8216 s4.3.4). `iframes`: the renditions that have a playlist of I-frames.

    `begins_at`: where players are to begin, in milliseconds of the film. `images`: lines that offer previews (`hls_images`).
    """
    # The only sound of a film without a picture is a variant, and no alternative to anything.
    groups = sound_groups(outline) if outline.videos or len(outline.sounds) > 1 else ()
    subtitles = [track for track in outline.subtitles if track.convertible]
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}"]
    if outline.independent:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    if begins_at:
        lines.append(f"#EXT-X-START:TIME-OFFSET={exact_seconds(begins_at, 1000)}")
    lines += [*sound_tags(groups), *subtitle_tags(subtitles)]
    for one, group in _variants(outline, groups, measured):
        lines += _variant(one, group, measured, subtitles=bool(subtitles))
    lines += [_iframe_variant(one, measured) for one in outline.videos if one.name in iframes]
    lines += images
    return _text(lines)


def media_playlist(outline: Outline, rendition: OutlineRendition) -> str:
    """The playlist of a rendition (RFC 8216 s4.3.3): all its segments, whether they are made yet or not."""
    lines = [*_head(outline, rendition), f'#EXT-X-MAP:URI="init.mp4?v={outline.version}"']
    for number, seconds in enumerate(_durations(outline, rendition)):
        lines += [
            f"#EXTINF:{seconds},",
            f"{number}.m4s?v={outline.version}",
        ]
    return _text([*lines, "#EXT-X-ENDLIST"])


def iframe_playlist(outline: Outline, rendition: OutlineRendition, sizes: Sequence[int]) -> str:
    """The playlist of the first frame of each segment (RFC 8216 s4.3.3.6): its bytes [0, sizes[k]), moof included."""
    lines = [
        *_head(outline, rendition),
        "#EXT-X-I-FRAMES-ONLY",
        f'#EXT-X-MAP:URI="init.mp4?v={outline.version}"',
    ]
    for number, (seconds, size) in enumerate(zip(_durations(outline, rendition), sizes, strict=True)):
        lines += [
            f"#EXTINF:{seconds},",
            f"#EXT-X-BYTERANGE:{size}@0",
            f"{number}.m4s?v={outline.version}",
        ]
    return _text([*lines, "#EXT-X-ENDLIST"])


def subtitle_playlist(outline: Outline, subtitle: SubtitleTrack) -> str:
    """The playlist of one subtitle track: a single segment as long as the film.

    Subtitles may have a target duration of their own (RFC 8216 s6.2.4).
    """
    milliseconds = max(1, round(outline.seconds * 1000))
    return _text(
        [
            "#EXTM3U",
            f"#EXT-X-VERSION:{VERSION}",
            f"#EXT-X-TARGETDURATION:{target_duration([milliseconds], 1000)}",
            "#EXT-X-MEDIA-SEQUENCE:0",
            "#EXT-X-PLAYLIST-TYPE:VOD",
            f"#EXTINF:{exact_seconds(milliseconds, 1000)},",
            f"../../subtitles/{subtitle.number}.vtt?v={outline.version}",
            "#EXT-X-ENDLIST",
        ]
    )


def _durations(outline: Outline, rendition: OutlineRendition) -> list[str]:
    """What EXTINF says of each segment. Of all pictures the same, exactly: of the first one, which is the source if it is there.

    Rounded to the clock of each, two playlists would end some microseconds apart, and Shaka, having changed from the longer
    to the shorter one, waits for the rest of the film for ever.
    """
    clock = outline.videos[0] if rendition.kind == "video" else rendition
    return [exact_seconds(ticks, clock.timescale) for ticks in clock.durations]


def _head(outline: Outline, rendition: OutlineRendition) -> list[str]:
    # All renditions of a film have the same target duration (RFC 8216 s6.2.4).
    target = max(target_duration(one.durations, one.timescale) for one in outline.renditions)
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}"]
    if outline.independent or rendition.name != SOURCE:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    return [
        *lines,
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]


def _variants(
    outline: Outline, groups: Sequence[Group], measured: Measured
) -> Iterator[tuple[OutlineRendition, Group | None]]:
    """What a player chooses from: each picture with each group of sounds; without a picture the sounds themselves."""
    if not outline.videos:
        yield from ((group.members[0], group) for group in groups)
        yield from ((one, None) for one in outline.sounds if not groups)
        return
    first = first_picture(outline.videos, measured)
    for one in sorted(outline.videos, key=lambda one: one is not first):
        yield from ((one, group) for group in groups or (None,))


def first_picture(pictures: Sequence[OutlineRendition], measured: Measured) -> OutlineRendition:
    """The picture that is to be played first: see SOURCE_FIRST_BITS_PER_SECOND."""
    source = pictures[0]
    peak, _ = measured.get(source.name, (source.bandwidth, 0))
    if source.name == SOURCE and source.codecs.startswith("avc1.") and peak <= SOURCE_FIRST_BITS_PER_SECOND:
        return source
    # HEVC and AV1 are not decoded everywhere; what is encoded here is.
    encoded = [one for one in pictures if one.packaged is None] or pictures
    modest = (one for one in encoded if _bandwidths(one, measured)[1] <= FIRST_BITS_PER_SECOND)
    return next(modest, encoded[-1])


def _variant(
    one: OutlineRendition, group: Group | None, measured: Measured, *, subtitles: bool
) -> tuple[str, str]:
    members = () if group is None else group.members
    # A player may choose any sound of the group: the dearest counts. Without a picture the sound is all there is.
    parts = [] if one in members else [_bandwidths(one, measured)]
    sounds = [_bandwidths(member, measured) for member in members]
    if sounds:
        parts.append((max(peak for peak, _ in sounds), max(average for _, average in sounds)))
    values = [
        ("BANDWIDTH", str(sum(peak for peak, _ in parts))),
        ("AVERAGE-BANDWIDTH", str(sum(average for _, average in parts))),
        ("CODECS", quoted(",".join(dict.fromkeys(each.codecs for each in (one, *members))))),
        *_picture(one),
    ]
    if one.frame_rate is not None and one.frame_rate >= 0.001:
        values.append(("FRAME-RATE", f"{one.frame_rate:.3f}"))
    if group is not None:
        values.append(("AUDIO", quoted(group.name)))
    if subtitles:
        values.append(("SUBTITLES", quoted(SUBTITLES)))
    if one.kind == "video":
        # Without this, Safari offers captions that no film here has.
        values.append(("CLOSED-CAPTIONS", "NONE"))
    return f"#EXT-X-STREAM-INF:{attributes(values)}", f"{one.name}/index.m3u8"


def _iframe_variant(one: OutlineRendition, measured: Measured) -> str:
    # Its first frame is not larger than a segment, which bounds its rate.
    values = [
        ("BANDWIDTH", str(_bandwidths(one, measured)[0])),
        ("CODECS", quoted(one.codecs)),
        *_picture(one),
        ("URI", quoted(f"{one.name}/iframes.m3u8")),
    ]
    return f"#EXT-X-I-FRAME-STREAM-INF:{attributes(values)}"


def _picture(one: OutlineRendition) -> Iterator[tuple[str, str]]:
    if one.kind == "video":
        if one.width and one.height:
            yield "RESOLUTION", f"{one.width}x{one.height}"
        yield "VIDEO-RANGE", one.video_range


def _bandwidths(one: OutlineRendition, measured: Measured) -> tuple[int, int]:
    return measured.get(one.name, (one.bandwidth, one.average_bandwidth))


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
