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

    @property
    def p95(self) -> float:
        """In seconds; of few measurements nearly the slowest."""
        return quantiles(self.seconds, n=20, method="inclusive")[-1]

    def row(self, peer: Sample | None = None) -> tuple[str, ...]:
        """Name, median, spread, how many, and the ratio to the peer."""
        low, high = self.spread
        ratio = "" if peer is None else f"{self.median / peer.median:.2f}"
        return (self.name, ms(self.median), f"{ms(low)} - {ms(high)}", str(len(self.seconds)), ratio)


class Table(str):
    """A Markdown table under its title, and the cells that it is made of. `key`: its name among a measure's tables."""

    __slots__ = ("caption", "header", "key", "rows")
    key: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], key: str = "") -> Table:
    """A Markdown table, aligned for people who read it in a terminal. With a `key` it is kept as JSON too (`bench.__main__`)."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (header, ["-" * width for width in widths], *rows)
    ]
    made = Table("\n".join([f"### {title}", "", *lines, ""]))
    made.key, made.caption, made.header = key, title, tuple(header)
    made.rows = tuple(map(tuple, rows))
    return made


@dataclass(frozen=True)
class Goal:
    """What is wanted of a figure, and what was found."""

    what: str
    wanted: float
    found: float
    at_least: bool = True  # or at most

    def row(self) -> tuple[str, ...]:
        """For the table of goals."""
        met = self.found >= self.wanted if self.at_least else self.found <= self.wanted
        return (
            self.what,
            f"{'>=' if self.at_least else '<='} {self.wanted:g}",
            f"{self.found:.2f}",
            "yes" if met else "**no**",
        )


def goals(title: str, wanted: Sequence[Goal]) -> Table:
    """The table of goals of one measure."""
    return table(title, ("", "goal", "found", "met"), [goal.row() for goal in wanted], "goals")


def ms(seconds: float) -> str:
    """As people read it."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
