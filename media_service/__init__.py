"""Upload a video; seek anywhere in it, at once, exactly, on any player."""

__version__ = "0.1.0"
