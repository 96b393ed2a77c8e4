"""Facts -> filter chains. Pure: what is done to a picture so that every screen shows it as it was meant.

ffmpeg itself turns rotated pictures upright before these chains (`-autorotate`, its default), so sizes here are upright
ones.
"""

from __future__ import annotations

from media_service.timeline.facts import VideoFacts

HD_WIDTH, HD_HEIGHT = 1280, 720  # from here on, untagged pictures are taken as BT.709, as players take them
SDR_NITS = 100  # nominal peak of an SDR screen (ITU-R BT.1886); what tone mapping aims at


def picture(video: VideoFacts, width: int, height: int, *, full_range: bool = False) -> str:
    """The chain to `width` x `height` square pixels of 8-bit 4:2:0, progressive, SDR.

    BT.709 in limited range for films; with `full_range` BT.601 in full range, which is what JPEG means (JFIF s.3).
    """
    chain: list[str] = []
    if video.interlaced:
        # One frame per frame (not per field): the count stays the source's. Progressive frames pass untouched.
        chain.append("bwdif=mode=send_frame:deint=interlaced")
    if video.is_hdr or video.color_primaries == "bt2020":
        chain += _to_sdr(video, width, height)
        matrix = "bt709"
    else:
        matrix = _matrix(video)
    target, levels, pixels = ("bt601", "pc", "yuvj420p") if full_range else ("bt709", "tv", "yuv420p")
    # The input's range is the frame's own; its matrix is ours to say, because swscale takes untagged ones as BT.601.
    chain.append(
        f"scale={width}:{height}:flags=bicubic+accurate_rnd"
        f":in_color_matrix={matrix}:out_color_matrix={target}:out_range={levels}"
    )
    chain += [f"format={pixels}", "setsar=1"]
    return ",".join(chain)


def _matrix(video: VideoFacts) -> str:
    if video.color_space in {"smpte170m", "bt470bg", "fcc"}:
        return "bt601"
    if video.color_space in {"bt709", "smpte240m"}:
        return video.color_space
    if video.color_space in {"bt2020nc", "bt2020c"}:
        return "bt2020"
    return "bt709" if video.width >= HD_WIDTH or video.height >= HD_HEIGHT else "bt601"


def _to_sdr(video: VideoFacts, width: int, height: int) -> list[str]:
    """Wide gamut to BT.709, and high dynamic range to SDR, in linear light. Scaled first: float pixels are dear.

    Every input property is set here: zscale refuses what it cannot convert ("no path between colorspaces") when a phone left
    one of them untagged.
    """
    transfer = video.color_transfer if video.is_hdr else "bt709"
    range_in = "full" if video.color_range == "pc" else "limited"
    chain = [
        f"zscale=w={width}:h={height}:tin={transfer}:pin=bt2020:min=bt2020nc:rin={range_in}:t=linear:npl={SDR_NITS}",
        "format=gbrpf32le",
        "zscale=p=bt709",
    ]
    if video.is_hdr:
        chain.append("tonemap=hable:desat=0")  # keeps detail in highlights; no grey veil over them
    return [*chain, "zscale=t=bt709:m=bt709:r=limited", "format=yuv420p"]
