"""One call of a webhook: its name looked up once, the addresses judged, the request sent to one of those very addresses.

A name server that answers differently the second time (DNS rebinding) is not asked a second time. Redirects are not followed:
they would lead past the judgement. Of the answer only the status is read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from media_service.errors import TargetRefused
from media_service.wire.webhook_targets import IPAddress, Target, why_private

if TYPE_CHECKING:
    from httpcore import AsyncNetworkBackend

    from media_service.work.webhook_posts import Poster

CALL_SECONDS = 10.0  # for all of it, the name server's answer too

Resolve = Callable[[str, int], Awaitable[Sequence[IPAddress]]]


class Outcome(NamedTuple):
    """What came of a call: the HTTP status, or None and a sentence why there is none."""

    status: int | None
    error: str | None

    @property
    def delivered(self) -> bool:
        """Whether the receiver has taken it: 2xx (Standard Webhooks, "Deliverability")."""
        return self.status is not None and 200 <= self.status < 300


async def resolve(host: str, port: int) -> list[IPAddress]:
    """The addresses of a name, in the order in which to try them (RFC 6724). Raises OSError."""
    loop = asyncio.get_running_loop()
    return _addresses(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class Caller:
    """Calls webhooks; an async context manager. `resolve` and `network` are what tests put others in the place of."""

    def __init__(
        self,
        *,
        private_targets: bool,
        resolve: Resolve = resolve,
        network: AsyncNetworkBackend | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._private_targets = private_targets
        self._resolve = resolve
        self._network = network
        self._call_seconds = call_seconds
        self._poster: Poster | None = None
        self._making = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._poster is not None:
            await self._poster.close()

    async def check(self, target: Target) -> None:
        """Raise TargetRefused for a private address, in whichever way a number can be written (127.1, 0x7f000001).

        A name is not looked up: what it says today is not what it says when there is something to tell.
        """
        loop = asyncio.get_running_loop()
        with suppress(socket.gaierror):
            found = await loop.getaddrinfo(
                target.host, target.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
            self._judge(_addresses(found))

    async def call(self, target: Target, headers: Mapping[str, str], body: bytes) -> Outcome:
        """POST `body`; never raises for what is the receiver's doing, or the network's, or this machine's."""
        try:
            poster = await self._made_poster()
        except OSError as error:  # also ssl.SSLError: of SSL_CERT_FILE
            return Outcome(None, f"The certificate authorities could not be read: {error.strerror or error}.")
        try:
            async with asyncio.timeout(self._call_seconds):
                status = await poster.post(target, headers, body)
        except TimeoutError:
            return Outcome(None, f"There was no answer within {self._call_seconds:g} s.")
        except TargetRefused as error:
            return Outcome(None, error.detail)
        except OSError as error:
            return Outcome(None, f"The name {target.host} could not be looked up: {error.strerror}.")
        if isinstance(status, str):
            return Outcome(None, status)
        return Outcome(status, None if 200 <= status < 300 else f"The answer was {status}.")

    async def _made_poster(self) -> Poster:
        async with self._making:
            if self._poster is None:
                self._poster = await asyncio.to_thread(self._make_poster)
        return self._poster

    def _make_poster(self) -> Poster:
        from media_service.work.webhook_posts import Poster  # noqa: PLC0415 - most services never need it

        return Poster(self._judged, self._network)

    async def _judged(self, host: str, port: int) -> Sequence[IPAddress]:
        """All that the name has; the same are called that are judged. Raises TargetRefused, OSError."""
        addresses = await self._resolve(host, port)
        self._judge(addresses)
        return addresses

    def _judge(self, addresses: Sequence[IPAddress]) -> None:
        """Raise TargetRefused unless all of them may be called: of a name that has both kinds, none is."""
        for address in addresses:
            if not self._private_targets and (why := why_private(address)) is not None:
                raise TargetRefused(f"{address} is {why}. WEBHOOK_PRIVATE_TARGETS would allow it.")


def _addresses(found: Sequence[tuple[Any, ...]]) -> list[IPAddress]:
    # A link-local address comes with the zone that it is valid in. Each comes once for each protocol.
    return list(dict.fromkeys(ip_address(str(address[0]).partition("%")[0]) for *_, address in found))
