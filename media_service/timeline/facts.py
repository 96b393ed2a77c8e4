"""What probing found out about a source.

Times are seconds (float): they come from containers, are shown to people and bound jobs; nothing is cut by them.
Widths and heights are in pixels. `index` is the stream's number in the source, as ffmpeg's `-map 0:INDEX` takes it.
"""

from __future__ import annotations

from fractions import Fraction

import msgspec

from media_service.timeline.packets import Packets


class VideoFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The video track that is shown."""

    index: int
    codec: str
    profile: str | None = None
    level: int | None = None  # as the codec counts: 41 is H.264's 4.1
    width: int  # as coded, before rotation and aspect
    height: int
    sample_aspect: tuple[int, int] = (1, 1)
    rotation: int = 0  # degrees clockwise that a player must turn the picture: 0, 90, 180, 270
    pixel_format: str | None = None
    bit_depth: int = 8
    frame_rate: tuple[int, int] | None = None  # average, as a fraction
    color_transfer: str | None = None
    color_primaries: str | None = None
    color_space: str | None = None
    color_range: str | None = None
    interlaced: bool = False
    reordered_frames: int = 0  # how many a decoder holds back at most, because B frames are shown before them
    time_base: tuple[int, int] | None = None  # seconds in one tick of the source, as a fraction
    start_ticks: int | None = None
    start_seconds: float | None = None
    duration_seconds: float | None = None

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height of the upright picture with square pixels; the longer stretched side is kept."""
        aspect = Fraction(*self.sample_aspect)
        width, height = Fraction(self.width), Fraction(self.height)
        # Stretch, never shrink: shrinking a side would throw away lines that were shot.
        width, height = (width * aspect, height) if aspect >= 1 else (width, height / aspect)
        if self.rotation in {90, 270}:
            width, height = height, width
        return round(width), round(height)

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer function is PQ or HLG (ITU-R BT.2100), which SDR screens show washed out."""
        return self.color_transfer in {"smpte2084", "arib-std-b67"}


class AudioFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One audio track."""

    index: int
    codec: str
    profile: str | None = None
    channels: int
    sample_rate: int  # Hz
    language: str | None = None  # as the container has it
    title: str | None = None
    default: bool = False  # the container would have it played before others
    decodable: bool = True
    time_base: tuple[int, int] | None = None  # seconds in one tick of the source, as a fraction
    start_ticks: int | None = None
    start_seconds: float | None = None
    duration_seconds: float | None = None


class SubtitleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One track of subtitles, of text or of images."""

    index: int
    codec: str
    language: str | None = None  # as the container has it
    title: str | None = None
    forced: bool = False  # only what must be read even by those who understand the sound
    default: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a source without reading all of it."""

    container: str  # ffmpeg's name of the demuxer, e.g. "mov,mp4,m4a,3gp,3g2,mj2"
    declared_seconds: float | None = (
        None  # what the container claims; may lie (fragmented MP4: 143165 s for 1.1 s)
    )
    start_seconds: float = 0.0  # of the earliest track; MPEG-TS may start at 59857 s
    video: VideoFacts | None = None
    audio: tuple[AudioFacts, ...] = ()
    subtitles: tuple[SubtitleFacts, ...] = ()
    packets: Packets = Packets()  # empty until the asset is indexed

    @property
    def origin(self) -> Fraction | None:
        """Where ffmpeg begins to count, in seconds of the source's clock, if that is before picture and sound begin.

        A subtitle or data track may begin earlier. None otherwise: the tracks' own ticks tell it exactly.
        """
        tracks = (self.video, *self.audio)
        starts = [
            track.start_seconds for track in tracks if track is not None and track.start_seconds is not None
        ]
        early = bool(starts) and self.start_seconds < min(starts) - 0.001
        return Fraction(str(self.start_seconds)) if early else None

    def sound(self, index: int) -> AudioFacts:
        """The audio track of that number. Raises KeyError when there is none."""
        for track in self.audio:
            if track.index == index:
                return track
        raise KeyError(index)

    @property
    def main_audio(self) -> AudioFacts | None:
        """The audio track that the container would have played, of those that can be decoded; else the first of these."""
        return max(
            (track for track in self.audio if track.decodable), key=lambda track: track.default, default=None
        )
