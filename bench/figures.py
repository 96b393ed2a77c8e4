"""Measured times, and how they are told: medians with the spread between, and a ratio to the peer of the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles


@dataclass
class Sample:
    """Seconds of one thing, measured again and again."""

    name: str
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """In seconds."""
        return median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The 10th and the 90th percentile, in seconds; the extremes of fewer than ten."""
        if len(self.seconds) < 10:
            return min(self.seconds), max(self.seconds)
        tenths = quantiles(self.seconds, n=10)
        return tenths[0], tenths[-1]

    def row(self, peer: Sample | None = None) -> tuple[str, ...]:
        """Name, median, spread, how many, and the ratio to the peer."""
        low, high = self.spread
        ratio = "" if peer is None else f"{self.median / peer.median:.2f}"
        return (self.name, _ms(self.median), f"{_ms(low)} - {_ms(high)}", str(len(self.seconds)), ratio)


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned for people who read it in a terminal."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (header, ["-" * width for width in widths], *rows)
    ]
    return "\n".join([f"### {title}", "", *lines, ""])


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
