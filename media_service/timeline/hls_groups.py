"""What HLS calls alternative renditions (RFC 8216 s4.3.4.1): groups of sounds and of subtitles.

Each group has the same tracks under the same names; groups of sounds differ in how many channels there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from media_service.timeline.hls_text import attributes, quoted
from media_service.timeline.outline import Outline, OutlineRendition, SubtitleTrack

SUBTITLES = "subtitles"


@dataclass(frozen=True, slots=True)
class Group:
    """One rendition of each track of sound, the main track first."""

    name: str
    members: tuple[OutlineRendition, ...]


def sound_groups(outline: Outline) -> tuple[Group, ...]:
    """The sounds in stereo; and with as many channels as there are, where that is another set. None of a silent film."""
    tracks: dict[int, list[OutlineRendition]] = {}
    for one in outline.sounds:
        tracks.setdefault(one.stream, []).append(one)
    few, many = (
        tuple(choose(track, key=lambda one: one.channels or 0) for track in tracks.values())
        for choose in (min, max)
    )
    groups = (Group("stereo", few), Group("surround", many))
    return groups if few != many else groups[:1] if few else ()


def sound_tags(groups: Sequence[Group]) -> Iterator[str]:
    """EXT-X-MEDIA for each sound of each group. The first is played unless the viewer, or his language, wants another."""
    for group in groups:
        # Members that correspond to each other must agree in all but URI and CHANNELS: named by the stereo ones.
        names = distinct([member.label or "Sound" for member in groups[0].members])
        known: set[str | None] = set()
        for name, main, member in zip(names, groups[0].members, group.members, strict=True):
            first = member is group.members[0]
            values = [("TYPE", "AUDIO"), ("GROUP-ID", quoted(group.name)), ("NAME", quoted(name))]
            if main.language:
                values.append(("LANGUAGE", quoted(main.language)))
            values += [("DEFAULT", _yes(first)), ("AUTOSELECT", _yes(main.language not in known))]
            if member.channels:
                values.append(("CHANNELS", quoted(str(member.channels))))
            values.append(("URI", quoted(f"{member.name}/index.m3u8")))
            known.add(main.language)
            yield f"#EXT-X-MEDIA:{attributes(values)}"


def subtitle_tags(tracks: Sequence[SubtitleTrack]) -> Iterator[str]:
    """EXT-X-MEDIA for each track of subtitles. None is shown unless the viewer wants it, or must read it (forced)."""
    known: set[tuple[str | None, bool]] = set()
    for name, track in zip(distinct([track.label for track in tracks]), tracks, strict=True):
        values = [("TYPE", "SUBTITLES"), ("GROUP-ID", quoted(SUBTITLES)), ("NAME", quoted(name))]
        if track.language:
            values.append(("LANGUAGE", quoted(track.language)))
        kind = (track.language, track.forced)
        values += [
            ("DEFAULT", "NO"),
            ("AUTOSELECT", _yes(kind not in known)),
            ("FORCED", _yes(track.forced)),
            ("URI", quoted(f"{subtitles_name(track)}/index.m3u8")),
        ]
        known.add(kind)
        yield f"#EXT-X-MEDIA:{attributes(values)}"


def subtitles_name(track: SubtitleTrack) -> str:
    """The folder of its playlist, beside those of the renditions."""
    return f"subtitles-{track.number}"


def distinct(names: Sequence[str]) -> list[str]:
    """The names, as they are written, with a number behind those that were there before: no two in a group may be the same."""
    found: list[str] = []
    for name in names:
        written = quoted(name)[1:-1]
        found.append(
            next(
                candidate
                for number in count(1)
                if (candidate := written if number == 1 else f"{written} {number}") not in found
            )
        )
    return found


def _yes(is_so: bool) -> str:  # noqa: FBT001 - the only thing it is about
    return "YES" if is_so else "NO"
