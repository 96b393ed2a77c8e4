"""Which tracks of a Matroska or WebM original are fit to be packaged, and their init segments.

On the same terms as those of an MP4 (`packagable`). What an MP4 has in its sample entry is the track's CodecPrivate here, the
same bytes; its frames are what an MP4 has for samples. VP9 has nothing there, so that its box is made from what was probed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from media_service.matroska.tracks import Colour, MatroskaTrack
from media_service.mp4.plain_entry import build_colr, build_esds, picture_stsd, sound_stsd
from media_service.timeline.facts import Facts, VideoFacts
from media_service.timeline.packagable import PackagedTrack, packaged_picture, packaged_sound
from media_service.timeline.stored_index import StoredIndex, StoredTrack

# What CodecPrivate begins with where it is the record that a sample entry has: its version, in AV1 after a marker. Old writers
# put the bare start of the stream there.
_VERSIONS = {"avc1": 0x01, "hvc1": 0x01, "av01": 0x81}
_LONGEST_SIDE = 0xFFFF  # pixels that a sample entry can say
_SHORTEST = 4  # bytes of any of them
_ENTRIES = {"V_MPEG4/ISO/AVC": "avc1", "V_MPEGH/ISO/HEVC": "hvc1", "V_AV1": "av01"}

# VP9 Levels (webmproject.org/vp9/levels): level x 10, luma samples/s, luma samples of a picture, and kbit/s at most.
_VP9_LEVELS = (
    (10, 829_440, 36_864, 200),
    (11, 2_764_800, 73_728, 800),
    (20, 4_608_000, 122_880, 1_800),
    (21, 9_216_000, 245_760, 3_600),
    (30, 20_736_000, 552_960, 7_200),
    (31, 36_864_000, 983_040, 12_000),
    (40, 83_558_400, 2_228_224, 18_000),
    (41, 160_432_128, 2_228_224, 30_000),
    (50, 311_951_360, 8_912_896, 60_000),
    (51, 588_251_136, 8_912_896, 120_000),
    (52, 1_176_502_272, 8_912_896, 180_000),
    (60, 1_176_502_272, 35_651_584, 180_000),
    (61, 2_353_004_544, 35_651_584, 240_000),
    (62, 4_706_009_088, 35_651_584, 480_000),
)
# Profile and bit depth by what was probed: 4:2:0 is what players decode in hardware.
_VP9_KINDS = {("Profile 0", "yuv420p"): (0, 8), ("Profile 2", "yuv420p10le"): (2, 10)}
_VP9_CHROMA = (
    1  # 4:2:0, chroma where the upper left of four luma samples is: what encoders say that say nothing
)


def packagable_matroska(
    facts: Facts, tracks: Mapping[int, MatroskaTrack], index: StoredIndex
) -> dict[int, PackagedTrack]:
    """The tracks that can be packaged of those whose packets' places are exact (`tracks`, by stream number).

    Reads the whole index of these tracks. Raises IndexCorrupt.
    """
    found: dict[int, PackagedTrack] = {}
    sounds = {sound.index: sound for sound in facts.audio}
    for stream, track in tracks.items():
        stored, made = index.track(stream), None
        if stream in sounds:
            # Times in milliseconds let AAC overlap and gape by some of them at each packet.
            if track.codec == "A_AAC" and stored.timescale >= sounds[stream].sample_rate:
                stsd = sound_stsd(build_esds(track.private), track.private)
                made = packaged_sound(sounds[stream], stored, stsd)
        elif facts.video is not None and not facts.video.rotation:
            made = packaged_picture(facts.video, stored, _picture_stsd(facts.video, track, stored))
        if made is not None:
            found[stream] = made
    return found


def _picture_stsd(video: VideoFacts, track: MatroskaTrack, stored: StoredTrack) -> bytes | None:
    colour = Colour() if track.colour is None else track.colour
    inside = []
    if colour != Colour():
        inside.append(
            build_colr(colour.primaries, colour.transfer, colour.matrix, full_range=colour.full_range)
        )
    name, config = _ENTRIES.get(track.codec), track.private
    if track.codec == "V_VP9":
        name, config = "vp09", _vp9_config(video, stored, colour)
    elif name is None or len(config) < _SHORTEST or config[0] != _VERSIONS[name]:
        return None
    if not config or max(video.width, video.height) > _LONGEST_SIDE:
        return None
    return picture_stsd(
        name, config, (video.width, video.height), sample_aspect=video.sample_aspect, inside=inside
    )


def _vp9_config(video: VideoFacts, track: StoredTrack, colour: Colour) -> bytes:
    """What is in the box `vpcC` (VP Codec ISO Media File Format Binding s2.2); empty for a film of no profile or level."""
    profile, depth = _VP9_KINDS.get((video.profile or "", video.pixel_format or ""), (0, 0))
    level = _vp9_level(video, track)
    if not depth or level is None:
        return b""
    coding = depth << 4 | _VP9_CHROMA << 1 | colour.full_range
    colours = (colour.primaries, colour.transfer, colour.matrix)
    return struct.pack(">I6BH", 1 << 24, profile, level, coding, *colours, 0)


def _vp9_level(video: VideoFacts, track: StoredTrack) -> int | None:
    """The lowest level that is enough for the film on average."""
    seconds = (track.stop - track.start) / track.timescale
    if seconds <= 0:
        return None
    samples = video.width * video.height
    rate, bits = samples * track.shown_count / seconds, track.size * 8 / seconds
    enough = (
        level
        for level, most_rate, most, kilobits in _VP9_LEVELS
        if samples <= most and rate <= most_rate and bits <= kilobits * 1000
    )
    return next(enough, None)
