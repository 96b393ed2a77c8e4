"""What a transform is asked for: the fields of a form or of a query -> `Operations`, and which file comes out of it.

An operation that would change nothing (`mute=false`, `blur=0`) counts as not given, so that forms may send all their fields. One
that would say nothing of the result (`fps` of a still, `width` of a sound) is refused: who asks for it expects something.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from media_service.errors import InvalidRequest

Kind = Literal["picture", "film", "sound"]

MAX_SIDE = 16_383  # pixels: what WebP can hold (RFC 9649 s2.5), and H.264 not much more
MAX_BLUR = 100.0  # pixels of the result
MAX_FPS = 120.0
MAX_SECONDS = 1e6  # eleven days: far behind the end of any film, and exact in a float to a microsecond


class Result(NamedTuple):
    """A kind of file that comes out."""

    name: str
    kind: Kind
    media_type: str
    extension: str


RESULTS: Mapping[str, Result] = {
    result.name: result
    for result in (
        Result("jpeg", "picture", "image/jpeg", "jpg"),
        Result("png", "picture", "image/png", "png"),
        Result("webp", "picture", "image/webp", "webp"),
        Result("mp4", "film", "video/mp4", "mp4"),
        Result("webm", "film", "video/webm", "webm"),
        Result("gif", "film", "image/gif", "gif"),
        Result("m4a", "sound", "audio/mp4", "m4a"),
        Result("mp3", "sound", "audio/mpeg", "mp3"),
    )
}
SYNONYMS = {"jpg": "jpeg"}

_WORDS: dict[Kind, str] = {"picture": "a still picture", "film": "a film", "sound": "sound alone"}
_PICTURE = frozenset({"format", "width", "height", "blur", "grayscale", "rotate"})
_TELLING: dict[Kind, frozenset[str]] = {  # which operations say something of such a result
    "picture": _PICTURE | {"start", "mute"},
    "film": _PICTURE | {"start", "duration", "fps", "mute"},
    "sound": frozenset({"format", "start", "duration", "audio_only"}),
}
_TIMES = frozenset({"start", "duration", "fps"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What is to be done. None and False: nothing of the kind. Times are seconds, sizes pixels of the result."""

    format: str | None = None  # a name in RESULTS
    width: int | None = None
    height: int | None = None
    start: float | None = None
    duration: float | None = None
    blur: float | None = None  # standard deviation
    grayscale: bool | None = None
    rotate: int | None = None  # degrees clockwise: 90, 180 or 270
    fps: float | None = None
    mute: bool | None = None
    audio_only: bool | None = None

    @property
    def given(self) -> frozenset[str]:
        """The names of those that change something."""
        return frozenset(name for name in NAMES if getattr(self, name) is not None)


def read_operations(fields: Iterable[tuple[str, str]]) -> Operations:
    """The operations that `fields` (name, text) ask for.

    Raises InvalidRequest, which names the field, for one that is unknown, comes twice or has a text that is not of its form.
    """
    found: dict[str, object] = {}
    for name, text in fields:
        if name not in _READERS:
            raise InvalidRequest(f"{name[:40]!r} is no operation; there are {', '.join(NAMES)}.")
        if name in found:
            raise InvalidRequest(f"{name}: it is given twice.")
        found[name] = _READERS[name](name, text.strip())
    # Nothing (False, 0) is as if it had not been said. mypy cannot see that each reader gives its field's type.
    return Operations(**{name: value or None for name, value in found.items()})  # type: ignore[arg-type]


def result_of(wanted: Operations, *, own: str | None, kinds: Iterable[Kind]) -> Result:
    """The file that comes out of a source of which `kinds` can be made; `own`: the result that is most like it.

    Raises InvalidRequest when the source has nothing of the kind, or an operation says nothing of it.
    """
    possible = tuple(kinds)
    name = wanted.format or ("m4a" if wanted.audio_only or own is None else own)
    result = RESULTS[name]
    if wanted.audio_only and result.kind != "sound":
        raise InvalidRequest(f"audio_only: {name} is no format of sound; m4a and mp3 are.")
    silent = wanted.given - _TELLING[result.kind]
    if silent:
        raise InvalidRequest(f"{min(silent)}: it says nothing of {_WORDS[result.kind]} ({name}).")
    if result.kind not in possible and not (name == "gif" and "picture" in possible):
        raise InvalidRequest(f"format: {_WORDS[result.kind]} ({name}) cannot be made of this file.")
    if possible == ("picture",) and wanted.given & _TIMES:
        raise InvalidRequest(f"{min(wanted.given & _TIMES)}: the file is a still picture, which has no time.")
    return result


# --- the texts of fields ------------------------------------------------------------------------------------------


def _format(name: str, text: str) -> str:
    found = SYNONYMS.get(text.lower(), text.lower())
    if found not in RESULTS:
        raise InvalidRequest(f"{name}: {', '.join(RESULTS)} can be made.")
    return found


def _pixels(name: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_SIDE:
        raise InvalidRequest(f"{name}: a whole number of pixels from 1 to {MAX_SIDE} is wanted.")
    return int(text)


def _degrees(name: str, text: str) -> int:
    if text not in {"0", "90", "180", "270"}:
        raise InvalidRequest(f"{name}: 0, 90, 180 or 270 degrees, clockwise, are possible.")
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0"}:
        raise InvalidRequest(f"{name}: true or false is wanted.")
    return text.lower() in {"true", "1"}


def _number(most: float, unit: str, *, least: float = 0.0) -> Callable[[str, str], float]:
    def read(name: str, text: str) -> float:
        # Digits and a point: float() would also take "1e3", "nan", "1_0" and Arabic digits.
        plain = re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,9})?", text)
        if plain is None or not least <= float(text) <= most:
            raise InvalidRequest(f"{name}: a number of {unit} from {least:g} to {most:g} is wanted.")
        return float(text)

    return read


_READERS: Mapping[str, Callable[[str, str], object]] = {
    "format": _format,
    "width": _pixels,
    "height": _pixels,
    "start": _number(MAX_SECONDS, "seconds"),
    "duration": _number(MAX_SECONDS, "seconds", least=0.001),
    "blur": _number(MAX_BLUR, "pixels"),
    "grayscale": _switch,
    "rotate": _degrees,
    "fps": _number(MAX_FPS, "frames per second", least=0.1),
    "mute": _switch,
    "audio_only": _switch,
}
NAMES = tuple(_READERS)
