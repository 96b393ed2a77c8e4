"""Facts and indexes of films made by hand, and their outlines, for the tests of what follows from an outline."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from media_service.timeline.facts import AudioFacts, Facts, SubtitleFacts, VideoFacts
from media_service.timeline.index import TrackIndex
from media_service.timeline.outline import Outline
from media_service.timeline.outlining import outline
from media_service.timeline.packaging import PackagedTrack
from media_service.timeline.stored_index import StoredIndex
from tests.timeline.tracks import stored, track

PICTURE, SOUND, SECOND_SOUND = 0, 1, 2  # streams


def video_facts(**details: Any) -> VideoFacts:
    return VideoFacts(
        **{
            "index": PICTURE,
            "codec": "h264",
            "width": 1920,
            "height": 1080,
            "frame_rate": (25, 1),
            "pixel_format": "yuv420p",
            "level": 40,
            **details,
        }
    )


def audio_facts(index: int = SOUND, **details: Any) -> AudioFacts:
    return AudioFacts(**{"index": index, "codec": "aac", "channels": 2, "sample_rate": 48_000, **details})


def facts_of(
    video: VideoFacts | None,
    *audio: AudioFacts,
    subtitles: tuple[SubtitleFacts, ...] = (),
) -> Facts:
    return Facts(container="mov,mp4", video=video, audio=audio, subtitles=subtitles)


def picture(seconds: int, *, every: int = 50, start: int = 0) -> TrackIndex:
    """25 frames per second of 4000 bytes on a clock of milliseconds, a keyframe every `every` frames."""
    count = seconds * 25
    return track(
        [start + number * 40 for number in range(count)],
        sync=range(0, count, every),
        sizes=[4000] * count,
        stream=PICTURE,
    )


def sound(
    seconds: Fraction | int, *, start: int = 0, stream: int = SOUND, timescale: int = 48_000
) -> TrackIndex:
    """Packets of 1024 ticks and 300 bytes."""
    count = max(1, int(seconds * timescale) // 1024)
    times = [start + number * 1024 for number in range(count)]
    return track(
        times,
        kind="audio",
        stream=stream,
        timescale=timescale,
        stop=start + count * 1024,
        sizes=[300] * count,
    )


def packaged_picture(**details: Any) -> PackagedTrack:
    return PackagedTrack(
        **{
            "stream": PICTURE,
            "kind": "video",
            "init": b"moov of the picture",
            "codecs": "avc1.640028",
            "timescale": 1000,
            "width": 1920,
            "height": 1080,
            "frame_rate": 25.0,
            **details,
        }
    )


def packaged_sound(stream: int = SOUND, **details: Any) -> PackagedTrack:
    return PackagedTrack(
        **{
            "stream": stream,
            "kind": "audio",
            "init": b"moov of the sound",
            "codecs": "mp4a.40.2",
            "timescale": 48_000,
            "channels": 2,
            "sample_rate": 48_000,
            **details,
        }
    )


def film(
    seconds: int = 30,
    *,
    video: Mapping[str, Any] | None = None,
    audio: tuple[AudioFacts, ...] = (audio_facts(),),
    subtitles: tuple[SubtitleFacts, ...] = (),
    packaged: tuple[PackagedTrack, ...] = (),
    every: int = 50,
) -> Outline:
    """The outline of a film of one picture (`video`: what is particular about it) and some sounds, equally long."""
    sounds = [sound(seconds, stream=one.index) for one in audio]
    return outline(
        facts_of(video_facts(**(video or {})), *audio, subtitles=subtitles),
        stored(picture(seconds, every=every), *sounds),
        {one.stream: one for one in packaged},
    )


def sound_film(seconds: int = 30, *audio: AudioFacts) -> Outline:
    """The outline of a film of sounds alone."""
    heard = audio or (audio_facts(),)
    return outline(facts_of(None, *heard), stored(*(sound(seconds, stream=one.index) for one in heard)), {})


_languages = st.none() | st.sampled_from(["eng", "ger", "und", "pt-BR", "??"]) | st.text(max_size=8)
_titles = st.none() | st.text(max_size=20)


@st.composite
def any_films(draw: st.DrawFn) -> tuple[Facts, StoredIndex, dict[int, PackagedTrack]]:
    """Any film: late and early tracks, broken clocks, rare keyframes, many sounds, strange names."""
    tracks: list[TrackIndex] = []
    video = None
    packaged: dict[int, PackagedTrack] = {}
    if draw(st.booleans()):
        video = video_facts(
            width=draw(st.integers(1, 8192)),
            height=draw(st.integers(1, 8192)),
            rotation=draw(st.sampled_from([0, 0, 0, 90])),
            frame_rate=draw(st.none() | st.tuples(st.integers(1, 120_000), st.sampled_from([1, 1001]))),
            color_transfer=draw(st.sampled_from([None, "smpte2084"])),
        )
        tracks.append(draw(_pictures()))
        if draw(st.booleans()):
            codecs = draw(st.sampled_from(["avc1.640028", "hvc1.1.6.L93.B0"]))
            packaged[PICTURE] = packaged_picture(codecs=codecs, timescale=tracks[0].timescale)
    audio = []
    for stream in range(SOUND, SOUND + draw(st.integers(0 if video else 1, 3))):
        facts = audio_facts(
            stream,
            channels=draw(st.sampled_from([1, 2, 6, 8])),
            language=draw(_languages),
            title=draw(_titles),
            default=draw(st.booleans()),
        )
        audio.append(facts)
        tracks.append(
            sound(
                draw(st.integers(0, 40)),
                start=draw(st.sampled_from([0, 0, 960, 400_000])),
                stream=stream,
                timescale=draw(st.sampled_from([44_100, 48_000])),
            )
        )
        if facts.channels <= 2 and draw(st.booleans()):
            packaged[stream] = packaged_sound(stream, timescale=tracks[-1].timescale)
    subtitles = draw(
        st.lists(
            st.builds(
                SubtitleFacts,
                index=st.integers(10, 20),
                codec=st.sampled_from(["subrip", "dvd_subtitle", "ass"]),
                language=_languages,
                title=_titles,
                forced=st.booleans(),
            ),
            max_size=3,
        )
    )
    return facts_of(video, *audio, subtitles=tuple(subtitles)), stored(*tracks), packaged


@st.composite
def _pictures(draw: st.DrawFn) -> TrackIndex:
    """A picture with steps of any length, shown in the order of decoding."""
    timescale = draw(st.sampled_from([1, 25, 600, 1000, 24_000, 90_000, 10_000_000]))
    steps = st.sampled_from([1, max(1, timescale // 25), timescale, 3 * timescale])
    time = draw(st.sampled_from([0, 0, timescale // 3, 7 * timescale]))
    times = [time]
    for step in draw(st.lists(steps, max_size=60)):
        times.append(times[-1] + step)
    every = draw(st.integers(1, 30))
    return track(
        times,
        sync=range(0, len(times), every),
        timescale=timescale,
        stop=times[-1] + draw(steps),
        sizes=[draw(st.integers(1, 10**6))] * len(times),
    )
