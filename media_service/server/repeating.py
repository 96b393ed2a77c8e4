"""The protocol that uvicorn is given: what comes again with another range is answered before anything is parsed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from media_service.server.cycle import Cycle
from media_service.server.heads import head
from media_service.server.known_uvicorn import zero_copy_support
from media_service.server.patience import Wait
from media_service.server.plain import Protocol
from media_service.server.protocol import SEND_IDLE_SECONDS, ZeroCopyProtocol
from media_service.server.repeats import Hold, Part, Repeat, Repeats, Split, split
from media_service.server.zero_copy import ClientGone, Stop

if TYPE_CHECKING:
    import asyncio
    from contextlib import AbstractAsyncContextManager

    import uvicorn
    from uvicorn.server import ServerState

# An application says with this attribute what it knows of requests that come again: server.repeats.Repeatable.
REPEATABLE = "repeatable"
# All that is asked of the scope of a response that was not parsed.
_REPEATED = {"type": "http", "method": "GET"}

_all_repeats: WeakKeyDictionary[ServerState, Repeats] = WeakKeyDictionary()


def protocol_class(*, send_idle_seconds: float = SEND_IDLE_SECONDS) -> type[Protocol]:
    """What uvicorn makes for each connection. A client that takes nothing for `send_idle_seconds` is given up."""
    if zero_copy_support() is not None:
        return Protocol
    patience = send_idle_seconds

    class Configured(RepeatingProtocol):
        send_idle_seconds = patience

    return Configured


class RepeatingProtocol(ZeroCopyProtocol):
    """... and what comes again, and whose bytes lie in a file, is answered with all others of that kind that are read now."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        hook = getattr(self.app, REPEATABLE, None)
        if hook is not None and self.limit_concurrency is None:
            if server_state not in _all_repeats:
                _all_repeats[server_state] = Repeats(hook, self.loop.call_soon)
            self.repeats = _all_repeats[server_state]
        self._asked = False  # what was read last is a repeat that is not answered yet

    def data_received(self, data: bytes) -> None:
        """Have it answered with the others that wait, or parsed."""
        if self._asked:
            self._unread = b"".join((self._unread, data))
            self.flow.pause_reading()
            return
        repeats = self.repeats
        if repeats is None or not self._is_between() or (found := split(data)) is None:
            super().data_received(data)
            return
        if (known := repeats.get(found)) is not None:
            self._asked = True
            repeats.ask(self, known, data, found[2])
            return
        requests, before = self._requests, self.cycle
        super().data_received(data)
        if self._requests == requests + 1 and self.cycle is not before:
            self._learn(repeats, found)

    def shutdown(self) -> None:
        """All is to end: what has come is answered."""
        self._be_answered()
        super().shutdown()

    def eof_received(self) -> None:
        """The client sends no more, and the connection ends: it has what it takes at once of its answer."""
        self._be_answered()
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for an answer any more."""
        if self._asked and self.repeats is not None:
            self._asked = False
            self.repeats.forget(self)
        super().connection_lost(exc)

    def waits(self) -> Wait | None:
        """What the client is waited for with: not while it waits for us."""
        return None if self._asked else super().waits()

    def _be_answered(self) -> None:
        if self._asked and self.repeats is not None:
            self.repeats.answer_now(self)

    def _parse_on(self) -> None:
        if not self._asked:  # nothing before that
            super()._parse_on()

    def _is_between(self) -> bool:
        """Whether the parser knows of no byte of a request that is not answered."""
        if self._running is not None or self._refusal is not None or self._unread:
            return False
        if self._in_head:
            return not self._requests and not self._barren_bytes
        return not self._is_in_body()

    def _learn(self, repeats: Repeats, found: Split) -> None:
        cycle = self.cycle
        # Whole, without a body, and not the connection's last.
        if cycle.keep_alive and not cycle.more_body and not cycle.body and not self.expect_100_continue:
            try:
                repeats.learn(found, cycle.scope)
            except Exception:  # its response has nothing to do with that
                self.logger.exception("Exception in what an application knows of a request\n")

    def part(self, repeat: Repeat, wanted: bytes) -> Part | None:
        """What it is answered with; None when the application is to be asked."""
        try:
            return repeat.part(wanted.decode("ascii"))
        except Exception:  # nothing has been sent
            self.logger.exception("Exception in what an application knows of a request\n")
            return None

    def answer(self, part: Part) -> int:
        """Send it, as far as that goes now: so many bytes."""
        self._asked = False
        self._requests += 1
        self._in_head = False
        self._barren_bytes = 0
        assert self._outlet is not None
        before = self._outlet.sent
        try:
            self._send(part)
        except ClientGone:
            pass
        except Exception:  # as a cycle: something of it may be out
            self.transport.abort()
            self.logger.exception("Exception in sending a file\n")
        return self._outlet.sent - before

    def _send(self, part: Part) -> None:
        own, prepared, file, start, count, hold = part
        assert self._outlet is not None
        block, *_ = head(206, own, prepared, self.server_state.default_headers)
        if not self._outlet.begin_file(block + b"\r\n", file, start, count, begins=True):
            self._go_on(hold)
            return
        self.server_state.total_requests += 1
        self.after_repeat()
        if self._unread:
            self.loop.call_soon(self._parse_on)

    def parse(self, data: bytes) -> None:
        """Answer it in the ordinary way."""
        self._asked = False
        self._unread = b"".join((data, self._unread))
        try:
            self._parse_on()
        except Exception:  # others are to be answered as well
            self.transport.abort()
            self.logger.exception("Exception in reading a request\n")

    def _go_on(self, hold: Hold) -> None:
        """Let it be a response like any other, of which the rest is to be sent."""
        assert self._outlet is not None
        self.scope = _REPEATED  # type: ignore[assignment] # see there
        self.expect_100_continue = False
        cycle = self.cycle = self._running = Cycle(self, self._outlet, keep_alive=True)
        cycle.more_body = False
        cycle.response_started = True
        # Thousands of viewers wait here, and most seeks are given up here: no coroutine and no task for that.
        stopped = self._outlet.stopped()
        held = hold()
        if stopped is None:
            self._begin_at_once(cycle, partial(self._finish, cycle, held, None))
        else:
            stopped.add_done_callback(partial(self._stopped, cycle, held))

    def _stopped(
        self, cycle: Cycle, held: AbstractAsyncContextManager[object], stopped: asyncio.Future[Stop]
    ) -> None:
        ended: asyncio.Future[Stop] | None = stopped
        if stopped.exception() is not None:
            self.transport.abort()  # something of the response is out: nothing can follow it
        elif stopped.result() is not Stop.DONE:
            ended = None
        self._begin_at_once(cycle, partial(self._finish, cycle, held, ended))

    async def _finish(
        self,
        cycle: Cycle,
        held: AbstractAsyncContextManager[object],
        ended: asyncio.Future[Stop] | None,
        *_: object,
    ) -> None:
        """Send the rest, or tell how that has `ended`: an ASGI application, as a cycle knows what to do with the errors of one."""
        assert self._outlet is not None
        async with held:
            if ended is None:
                await self._outlet.rest()
            else:
                ended.result()
        cycle.complete()
        self.after_repeat()
