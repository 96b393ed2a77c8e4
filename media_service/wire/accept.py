"""Which of several media types a client would rather have: Accept (RFC 9110 s12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")  # s12.4.2
MOST_CHARACTERS = 2000  # browsers send a hundred


def preferred(accept: Iterable[str], offered: Sequence[str], default: str) -> str:
    """The one of `offered` that the client likes best, of equals the first; or `default`.

    `accept` are the header's lines. A type counts only where it is named itself: `*/*` and `image/*` come from clients that
    know `default` and perhaps nothing newer. So does a header without sense. `default` is the answer as well where nothing
    is acceptable (s12.5.1 leaves that to the server).
    """
    weights: dict[str, float] = {}
    for item in ",".join(accept)[:MOST_CHARACTERS].split(","):
        name, *parameters = (part.strip(" \t").lower() for part in item.split(";"))
        weights.setdefault(name, _weight(parameters))
    usual = next(
        (
            weights[name]
            for name in (default, f"{default.split('/', maxsplit=1)[0]}/*", "*/*")
            if name in weights
        ),
        0.0,
    )
    best = max(offered, key=lambda name: weights.get(name, 0.0), default=default)
    return best if weights.get(best, 0.0) > 0 and weights[best] >= usual else default


def _weight(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return float(value) if _WEIGHT.fullmatch(value) else 0.0
    return 1.0
