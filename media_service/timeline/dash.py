"""The DASH manifest of a film (ISO/IEC 23009-1) as text, from its outline: the same segments as HLS has.

URIs are relative to /media/{id}/dash/manifest.mpd.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from xml.etree import ElementTree as ET

from media_service.timeline.hls import Measured
from media_service.timeline.hls_images import bandwidths
from media_service.timeline.hls_text import exact_seconds
from media_service.timeline.outline import SOURCE, Outline, OutlineRendition, SubtitleTrack
from media_service.timeline.previews import Pack, shown

MEDIA_TYPE = "application/dash+xml"
NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
PROFILE = "urn:mpeg:dash:profile:isoff-live:2011"  # numbered segments by a template; static films use it too
BUFFER_SECONDS = 2  # that a player should have before it plays: half a segment
SUBTITLES_BITS_PER_SECOND = 1_000  # text; a number is required

# ISO/IEC 23001-8 by way of DASH-IF IOP 4.3 s. 6.2.5: colour primaries, transfer, matrix of the two HDR systems of BT.2100.
_TRANSFER = {"PQ": "16", "HLG": "18"}
_CICP = "urn:mpeg:mpegB:cicp:"
# The layouts of so many channels that everybody means (ISO/IEC 23001-8, table 8): 6 is 5.1, 7 is 6.1, 8 is 7.1.
_LAYOUTS: dict[int | None, str] = {1: "1", 2: "2", 3: "3", 4: "4", 5: "5", 6: "6", 7: "11", 8: "12"}
_ROLE = "urn:mpeg:dash:role:2011"
_THUMBNAILS = "http://dashif.org/guidelines/thumbnail_tile"
# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]+")


def manifest(outline: Outline, measured: Measured, previews: Pack | None = None) -> str:
    """The MPD. `measured`: peak and average bits/s of the renditions of which all is made."""
    seconds = f"PT{exact_seconds(max(1, round(outline.seconds * 1_000_000)), 1_000_000)}S"
    longest = max(Fraction(max(one.durations), one.timescale) for one in outline.renditions)
    if previews is not None:
        longest = max(longest, *(Fraction(stop - begin, 1_000_000) for begin, stop in shown(previews)))
    mpd = ET.Element(
        "MPD",
        {
            "xmlns": NAMESPACE,
            "profiles": PROFILE,
            "type": "static",
            "mediaPresentationDuration": seconds,
            "maxSegmentDuration": f"PT{exact_seconds(longest.numerator, longest.denominator)}S",
            "minBufferTime": f"PT{BUFFER_SECONDS}S",
        },
    )
    period = ET.SubElement(mpd, "Period", {"id": "0", "start": "PT0S", "duration": seconds})
    sets = [*_switchable(outline), *([one] for one in outline.sounds)]
    for number, members in enumerate(sets):
        _adaptation_set(period, number, members, outline, measured)
    texts = (track for track in outline.subtitles if track.convertible)
    for number, track in enumerate(texts, len(sets)):
        _subtitles(period, number, track, outline)
    if previews is not None:
        _previews(period, len(period), previews)
    ET.indent(mpd)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(mpd, encoding="unicode")}\n'


def _switchable(outline: Outline) -> Iterator[list[OutlineRendition]]:
    """The pictures, those together between which a player may switch at any segment: one codec, one range, all independent."""

    def kind(one: OutlineRendition) -> tuple[object, ...]:
        return (one.codecs.partition(".")[0], one.video_range, outline.independent or one.name != SOURCE)

    return (list(members) for _, members in groupby(outline.videos, key=kind))


def _adaptation_set(
    period: ET.Element,
    number: int,
    members: Sequence[OutlineRendition],
    outline: Outline,
    measured: Measured,
) -> None:
    first = members[0]
    independent = outline.independent or first.name != SOURCE
    found = ET.SubElement(
        period,
        "AdaptationSet",
        {
            "id": str(number),
            "contentType": first.kind,
            "mimeType": f"{first.kind}/mp4",
            "segmentAlignment": "true",
            # Type 1: each segment begins with a keyframe that nothing before it is needed for; 3: leading pictures follow.
            "startWithSAP": "1" if independent else "3",
            **_language(first.language),
        },
    )
    if first.video_range != "SDR":
        # Essential: who does not know it would show it washed out, and has other renditions to show.
        for name, value in (
            ("ColourPrimaries", "9"),
            ("TransferCharacteristics", _TRANSFER[first.video_range]),
            ("MatrixCoefficients", "9"),
        ):
            _child(found, "EssentialProperty", _CICP + name, value)
    if first.kind == "audio":
        _label(found, first.label)
        _child(found, "Role", _ROLE, "main" if first.stream == outline.sounds[0].stream else "alternate")
    for one in members:
        _representation(found, one, outline, measured)


def _representation(parent: ET.Element, one: OutlineRendition, outline: Outline, measured: Measured) -> None:
    peak, _ = measured.get(one.name, (one.bandwidth, one.average_bandwidth))
    found = ET.SubElement(
        parent,
        "Representation",
        {"id": one.name, "codecs": one.codecs, "bandwidth": str(peak), **_shape(one)},
    )
    if one.channels in _LAYOUTS:
        _child(found, "AudioChannelConfiguration", _CICP + "ChannelConfiguration", _LAYOUTS[one.channels])
    template = ET.SubElement(
        found,
        "SegmentTemplate",
        {
            "timescale": str(one.timescale),
            "startNumber": "0",
            "initialization": f"../hls/{one.name}/init.mp4?v={outline.version}",
            "media": f"../hls/{one.name}/$Number$.m4s?v={outline.version}",
        },
    )
    _timeline(template, one.boundaries[0], one.durations)


def _timeline(template: ET.Element, start: int, durations: Iterable[int]) -> None:
    timeline = ET.SubElement(template, "SegmentTimeline")
    for at, (ticks, repeats) in enumerate(_runs(durations)):
        element = ET.SubElement(timeline, "S", {"t": str(start)} if at == 0 else {})
        element.set("d", str(ticks))
        if repeats:
            element.set("r", str(repeats))


def _runs(durations: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Each duration with how often it comes again right after."""
    return ((ticks, len(list(run)) - 1) for ticks, run in groupby(durations))


def _shape(one: OutlineRendition) -> dict[str, str]:
    shape: dict[str, str] = {}
    if one.audio is not None:
        shape["audioSamplingRate"] = str(one.audio.sample_rate)
    if one.width and one.height:
        shape |= {"width": str(one.width), "height": str(one.height)}
    if one.video is not None:
        shape["sar"] = "1:1"
    rate = Fraction(one.frame_rate or 0).limit_denominator(1001)  # 30000/1001 is the most broken one there is
    return shape | ({"frameRate": str(rate)} if rate else {})


def _subtitles(period: ET.Element, number: int, track: SubtitleTrack, outline: Outline) -> None:
    found = ET.SubElement(
        period,
        "AdaptationSet",
        {
            "id": str(number),
            "contentType": "text",
            "mimeType": "text/vtt",
            **_language(track.language),
        },
    )
    _label(found, track.label)
    _child(found, "Role", _ROLE, "forced-subtitle" if track.forced else "subtitle")
    text = ET.SubElement(
        found,
        "Representation",
        {"id": f"subtitles-{track.number}", "bandwidth": str(SUBTITLES_BITS_PER_SECOND)},
    )
    ET.SubElement(text, "BaseURL").text = f"../subtitles/{track.number}.vtt?v={outline.version}"


def _previews(period: ET.Element, number: int, pack: Pack) -> None:
    """Thumbnails (DASH-IF IOP 4.3 s6.2.6), each a segment: of several in one picture players take the times as evenly spread."""
    found = ET.SubElement(
        period,
        "AdaptationSet",
        {"id": str(number), "contentType": "image", "mimeType": "image/jpeg"},
    )
    size = {"width": str(pack.width), "height": str(pack.height)}
    peak, _ = bandwidths(pack)
    one = ET.SubElement(found, "Representation", {"id": "previews", "bandwidth": str(peak), **size})
    _child(one, "EssentialProperty", _THUMBNAILS, "1x1")
    template = ET.SubElement(
        one,
        "SegmentTemplate",
        {
            "timescale": "1000000",
            "startNumber": "0",
            "media": f"../storyboard/tiles/$Number$.jpg?v={pack.version}",
        },
    )
    _timeline(template, 0, (stop - begin for begin, stop in shown(pack)))


def _child(parent: ET.Element, tag: str, scheme: str, value: str) -> None:
    ET.SubElement(parent, tag, {"schemeIdUri": scheme, "value": value})


def _label(parent: ET.Element, label: str | None) -> None:
    if label:
        ET.SubElement(parent, "Label").text = _NOT_XML.sub(" ", label)


def _language(language: str | None) -> dict[str, str]:
    return {"lang": _NOT_XML.sub(" ", language)} if language else {}
