"""ASGI messages, and an application that answers each path with those it is given."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]


def start(length: int | None = None, *, status: int = 200, **more: Any) -> Message:
    """A response's begin; `length` is its Content-Length."""
    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


def memory(data: bytes, *, more: bool = True) -> Message:
    """A piece of memory."""
    return {"type": "http.response.body", "body": data, "more_body": more}


def piece(file: int, offset: int, count: int, *, more: bool = True) -> Message:
    """A piece of a file."""
    return {
        "type": "http.response.zerocopysend",
        "file": file,
        "offset": offset,
        "count": count,
        "more_body": more,
    }


class Played:
    """Sends the messages of the path; keeps the scopes it was called with and what `send` has raised."""

    def __init__(self, **answers: list[Message]) -> None:
        self.answers = answers
        self.scopes: list[dict[str, Any]] = []
        self.raised: list[str] = []
        self.ended = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        self.scopes.append(scope)
        try:
            for message in self.answers[scope["path"].strip("/")]:
                await send(message)
        except Exception as error:
            self.raised.append(f"{type(error).__name__}: {error}")
            raise
        finally:
            self.ended += 1


class PlayedAtOnce(Played):
    """... and may be begun without a task."""

    begins_at_once = True
