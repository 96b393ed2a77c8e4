"""What players would meet at the public address: each asks here as it does itself (docs/http.md, "What players need").

Each function is one player: it yields what would happen, and what is to be changed. The headers are those that the players
send; what counts is the answer, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median
from urllib.parse import urljoin

from media_service.doctor.films import Film
from media_service.doctor.findings import Finding
from media_service.doctor.visiting import Answer, Visitor
from media_service.errors import MediaServiceError
from media_service.mp4.boxes import read_header

EXACT_BYTES = 3 << 20  # more than the "1 MB per 206" that breaks AVPlayer
SEEKS = 5
SLOW_SECONDS = 1.0  # to the first byte of a seek: what a person waits for without wondering
HEAD_BYTES = 64 << 10
NO_RANGES = "cannot seek: Range is lost on the way; let it through, and put no cache in front that ignores it"
ORIGIN = "https://player.example"
_TOTAL = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_STRONG = re.compile(r'"[^"]*"')


def safari(visitor: Visitor, film: Film) -> Iterator[Finding]:
    """`bytes=0-1` comes first, and decides."""
    assert film.file is not None
    headers = {"Range": "bytes=0-1", "Accept-Encoding": "identity", "X-Playback-Session-Id": "doctor"}
    answer = visitor.ask("GET", film.file, headers)
    if (problem := _range_problem(answer, 0, 1)) is not None:
        yield Finding("BAD", f"plays nothing: to bytes=0-1 {problem}")
        return
    total = _total(answer)
    rest = visitor.ask("GET", film.file, {**headers, "Range": f"bytes=0-{total - 1}"}, most=HEAD_BYTES)
    if (problem := _range_problem(rest, 0, total - 1, cut=True)) is not None:
        yield Finding("BAD", f"stops after its first request: {problem}")
    elif not answer.get("content-type").startswith(("video/", "audio/")):
        yield Finding(
            "BAD",
            f"plays nothing that is called {answer.get('content-type') or 'nothing'}: let Content-Type through",
        )
    else:
        yield Finding("ok", f"bytes=0-1 gets its two bytes of {total}: it plays and seeks")


def avplayer(visitor: Visitor, film: Film) -> Iterator[Finding]:
    """Wants exactly what it asks for, and plays HLS."""
    total = None if film.file is None else _size(visitor, film.file)
    if film.file is not None and total is None:
        yield Finding("BAD", NO_RANGES)
    elif film.file is not None and total is not None:
        start = total // 3
        last = min(start + EXACT_BYTES, total) - 1
        answer = visitor.ask("GET", film.file, {"Range": f"bytes={start}-{last}"})
        if (problem := _range_problem(answer, start, last)) is not None:
            yield Finding("BAD", f"gives up (CoreMedia -12939): of {last - start + 1} bytes {problem}")
        else:
            yield Finding("ok", f"a range of {last - start + 1} bytes is answered to the byte")
    if film.hls is not None:
        yield _hls(visitor, film.hls)


def chrome(visitor: Visitor, film: Film) -> Iterator[Finding]:
    """Asks for all from some place on, and hangs up when the viewer jumps."""
    assert film.file is not None
    total = _size(visitor, film.file)
    if total is None:
        yield Finding("BAD", NO_RANGES)
        return
    times = []
    for number in range(SEEKS):
        start = total * (number + 1) // (SEEKS + 2)
        headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity;q=1, *;q=0"}
        answer = visitor.ask("GET", film.file, headers, most=HEAD_BYTES)  # and hangs up
        if (problem := _range_problem(answer, start, total - 1, cut=True)) is not None:
            yield Finding("BAD", f"cannot seek: to bytes={start}- {problem}")
            return
        times.append(answer.seconds)
    typical = median(times)
    if typical > SLOW_SECONDS:
        yield Finding(
            "BAD",
            f"waits {typical:.1f} s at each seek: something between here and the service is far away, or reads films from"
            " their start for each range (a cache without slices); let it pass /media and /t through",
        )
    else:
        yield Finding(
            "ok", f"{SEEKS} seeks, each broken off by the next: {typical * 1000:.0f} ms to the first byte"
        )


def firefox(visitor: Visitor, film: Film) -> Iterator[Finding]:
    """Offers to decompress, resumes with If-Range, and does not seek in what is compressed."""
    assert film.file is not None
    offer = {"Accept-Encoding": "gzip, deflate, br, zstd", "Range": "bytes=0-"}
    answer = visitor.ask("GET", film.file, offer, most=HEAD_BYTES)
    if answer.status != 206:
        yield Finding("BAD", NO_RANGES)
        return
    # Some compress whole answers only, and segments are asked for in whole.
    whole = visitor.ask("GET", film.file, {"Accept-Encoding": offer["Accept-Encoding"]}, most=HEAD_BYTES)
    tag = answer.get("etag")
    if encoding := answer.get("content-encoding") or whole.get("content-encoding"):
        yield Finding(
            "BAD",
            f"does not seek: films come with Content-Encoding {encoding}; no compression of /media and /t (nginx: gzip off)",
        )
        return
    if answer.get("transfer-encoding") or not answer.get("content-length"):
        yield Finding(
            "BAD", "knows no size: Content-Length is lost on the way; let bodies through as they are"
        )
        return
    if not _STRONG.fullmatch(tag):
        yield Finding(
            "BAD",
            f"begins anew instead of going on: the ETag is {tag or 'lost'}, and must be a strong one (compression weakens it)",
        )
        return
    same = visitor.ask("GET", film.file, {"Range": "bytes=100-199", "If-Range": tag})
    other = visitor.ask(
        "GET", film.file, {"Range": "bytes=100-199", "If-Range": '"another"'}, most=HEAD_BYTES
    )
    if same.status != 206 or other.status != 200:
        yield Finding(
            "BAD",
            f"may mix two films: If-Range of this film gets {same.status} (206 is right), of another {other.status} (200 is"
            " right); let If-Range through",
        )
    else:
        yield Finding("ok", "nothing is compressed, and If-Range is understood: it seeks and resumes")


def media3(visitor: Visitor, film: Film) -> Iterator[Finding]:
    """Looks at the head of the file for where its index is."""
    assert film.file is not None
    total = _size(visitor, film.file)
    if total is None:
        yield Finding("BAD", NO_RANGES)
        return
    head = visitor.ask("HEAD", film.file)
    if head.status != 200 or head.get("content-length") != str(total) or head.get("accept-ranges") != "bytes":
        yield Finding(
            "BAD",
            f"and whoever downloads is told {head.status} and {head.get('content-length') or 'no'} bytes by HEAD, of {total}: let"
            " HEAD through to the service",
        )
    answer = visitor.ask(
        "GET", film.file, {"Range": f"bytes=0-{HEAD_BYTES - 1}", "Accept-Encoding": "identity"}
    )
    names = _boxes(answer.body)
    if names[:1] != ["ftyp"]:
        yield Finding("ok", "plays it by HLS; the file itself is no MP4")
    elif "moof" in names and "sidx" not in names:
        yield Finding(
            "BAD", "cannot seek in the file: it is fragmented and has no sidx before its first fragment"
        )
    elif "moov" not in names:
        yield Finding("BAD", "reads all of the file before it plays: its moov is not at the front")
    else:
        yield Finding("ok", f"the file begins with {', '.join(names)}: it plays and seeks at once")


def pages(visitor: Visitor, film: Film) -> Iterator[Finding]:
    """hls.js, Shaka and dash.js in pages of other origins: CORS, HEAD, and errors that are to be retried."""
    target = film.hls or film.dash or film.file
    assert target is not None
    wish = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "range",
    }
    allowed = visitor.ask("OPTIONS", target, wish)
    answer = visitor.ask("GET", target, {"Origin": ORIGIN}, most=HEAD_BYTES)
    origins = answer.headers.get("access-control-allow-origin", [])
    if len(origins) > 1 or "," in answer.get("access-control-allow-origin"):
        yield Finding(
            "BAD",
            "are refused: Access-Control-Allow-Origin comes twice; the service sends it, so nobody else may",
        )
    elif not origins and answer.get("access-control-expose-headers"):
        yield Finding("note", f"on other sites than those of CORS_ORIGINS are refused, as {ORIGIN} is")
    elif not origins:
        yield Finding(
            "BAD",
            "on other sites are refused: the headers Access-Control-* are lost on the way; let them through",
        )
    elif (
        allowed.status not in {200, 204} or "range" not in allowed.get("access-control-allow-headers").lower()
    ):
        yield Finding(
            "BAD", f"on other sites are refused: OPTIONS gets {allowed.status}; let it through to the service"
        )
    else:
        yield Finding("ok", "on other sites may read: CORS comes through, once")
    head = visitor.ask("HEAD", target)
    if head.status != 200 or head.get("content-type") != answer.get("content-type"):
        yield Finding(
            "BAD", f"cannot tell what the film is: HEAD gets {head.status} {head.get('content-type')} (Shaka)"
        )
    missing = visitor.ask("GET", f"/media/{'a' * 26}/hls/master.m3u8")
    if missing.get("content-type") != "application/problem+json":
        yield Finding(
            "BAD",
            "cannot tell a segment that is being made (503, Retry-After) from a failure: the service's errors are replaced on"
            " the way (nginx: proxy_intercept_errors off)",
        )


def _hls(visitor: Visitor, target: str) -> Finding:
    """The playlists, the first one's header and its first segment."""
    for _ in range(2):  # the multivariant playlist, and the first in it
        playlist = visitor.ask("GET", target)
        if playlist.status != 200 or playlist.get("content-type") != "application/vnd.apple.mpegurl":
            return Finding(
                "BAD", f"plays no HLS: a playlist is {playlist.status} {playlist.get('content-type')}"
            )
        lines = playlist.body.decode(errors="replace").splitlines()
        if lines[:1] != ["#EXTM3U"]:
            return Finding("BAD", "plays no HLS: playlists are changed on the way")
        last, named = target, next((line for line in lines if line and line[0] != "#"), "")
        try:
            target = urljoin(last, named)
        except ValueError:
            return Finding("BAD", "plays no HLS: what playlists list is no address")
        if target == last:
            return Finding("BAD", "plays no HLS: a playlist lists nothing")
    segment = visitor.ask("GET", target, {"Accept-Encoding": "gzip, deflate, br"})
    said = segment.get("content-length") or "(none)"
    if segment.status != 200:
        return Finding("BAD", f"stops at the first segment: it is {segment.status}")
    if segment.get("content-encoding") or said != str(len(segment.body)):
        encoding = segment.get("content-encoding") or "none"
        return Finding(
            "BAD",
            f"may stop at segments: they come with Content-Length {said} and Content-Encoding {encoding}; let them through as"
            " they are",
        )
    return Finding("ok", f"HLS: a playlist, and its first segment after {segment.seconds * 1000:.0f} ms")


def _range_problem(answer: Answer, first: int, last: int, *, cut: bool = False) -> str | None:
    """What is wrong with the answer to `bytes=first-last`; with `cut` only the beginning of its body was read."""
    if answer.status == 200:
        return "comes all of it (200): let Range through, and put no cache in front that ignores it"
    if answer.status != 206:
        return f"comes {answer.status}"
    given = answer.get("content-range")
    read = _TOTAL.fullmatch(given)
    if read is None:
        return f"comes Content-Range {given or '(none)'}, without the size of the film"
    if (int(read[1]), int(read[2])) != (first, last):
        return f"come bytes {read[1]}-{read[2]}: nobody may cap or widen ranges"
    if answer.get("content-length") != str(last - first + 1):
        return f"comes Content-Length {answer.get('content-length') or '(none)'}"
    if not cut and len(answer.body) != last - first + 1:
        return f"come {len(answer.body)} bytes in fact"
    return None


def _total(answer: Answer) -> int:
    read = _TOTAL.fullmatch(answer.get("content-range"))
    assert read is not None, "looked at before"
    return int(read[3])


def _size(visitor: Visitor, target: str) -> int | None:
    """The file's size by its ranges; None when they do not come through."""
    answer = visitor.ask("GET", target, {"Range": "bytes=0-1"}, most=HEAD_BYTES)
    return None if _range_problem(answer, 0, 1) is not None else _total(answer)


def _boxes(data: bytes) -> list[str]:
    """The types of the boxes that begin in the head of a file; a box that is longer than that is the last."""
    names: list[str] = []
    start = 0
    while start + 16 <= len(data):
        try:
            box = read_header(data[start : start + 16], start, len(data))
        except MediaServiceError:
            break
        names.append(box.type)
        start = box.stop
    return names
