"""Real encoder output, made once: exactly what the transcoder's pipes carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.media import ffmpeg

FRAGMENTED = "+frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets+frag_discont"


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Fragmented MP4 by ffmpeg: "video" (H.264 with B frames, 6 s), "audio" (AAC, primed before zero), "late" video."""
    made = tmp_path_factory.mktemp("encoded")
    video = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-pix_fmt", "yuv420p"]
    video += ["-force_key_frames", "expr:gte(t,n_forced*2)", "-video_track_timescale", "90000"]
    source = "testsrc2=size=192x108:rate=30000/1001:duration=6"
    plain = ["-avoid_negative_ts", "disabled", "-f", "mp4", "-movflags", FRAGMENTED, "-map_metadata", "-1"]
    ffmpeg("-f", "lavfi", "-i", source, *video, *plain, made / "video.mp4")
    late = ["-vf", "setpts=PTS+30", "-fps_mode", "vfr", "-enc_time_base", "1:90000"]
    ffmpeg("-f", "lavfi", "-i", source, *late, *video, *plain, made / "late.mp4")
    audio = ["-c:a", "aac", "-b:a", "64k", "-frag_duration", "2000000"]
    sound = "sine=frequency=440:sample_rate=48000:duration=6"
    ffmpeg("-f", "lavfi", "-i", sound, "-ac", "2", *audio, *plain, made / "audio.mp4")
    return {path.stem: path for path in made.iterdir()}
