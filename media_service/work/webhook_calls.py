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
from typing import Any, NamedTuple, Self

import httpx

from media_service.errors import TargetRefused
from media_service.wire.webhook_targets import IPAddress, Target, why_private

CALL_SECONDS = 10.0  # for all of it, the name server's answer too
CONNECT_SECONDS = 4.0  # to each of the addresses: when the first is not to be reached, the next has time
ADDRESSES = 3  # that are tried, of those that a name has
MAX_CALLS = 16  # at the same time, to all webhooks together

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
    """Calls webhooks; an async context manager. `resolve` and `transport` are what tests put others in the place of."""

    def __init__(
        self,
        *,
        private_targets: bool,
        resolve: Resolve = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._private_targets = private_targets
        self._resolve = resolve
        self._transport = transport
        self._call_seconds = call_seconds
        self._calls = asyncio.Semaphore(MAX_CALLS)

    async def __aenter__(self) -> Self:
        if self._transport is None:
            # Reading the authorities takes 20 ms of processor time: once, off the loop. SSL_CERT_FILE names others.
            trust = await asyncio.to_thread(httpx.create_ssl_context)
            # Not a client of httpx: that would follow the environment's proxies, which look names up again, and keep cookies.
            # No connection is used twice: they are told apart by address alone, and two names may share one.
            limits = httpx.Limits(max_connections=MAX_CALLS, max_keepalive_connections=0)
            self._transport = httpx.AsyncHTTPTransport(verify=trust, trust_env=False, limits=limits)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport is not None
        await self._transport.aclose()

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
        """POST `body`; never raises for what is the receiver's doing, or the network's."""
        async with self._calls:
            try:
                async with asyncio.timeout(self._call_seconds):
                    return await self._call(target, headers, body)
            except TimeoutError:
                return Outcome(None, f"There was no answer within {self._call_seconds:g} s.")
            except TargetRefused as error:
                return Outcome(None, error.detail)
            except httpx.HTTPError as error:
                return Outcome(None, _sentence(error))
            except OSError as error:
                return Outcome(None, f"The name {target.host} could not be looked up: {error.strerror}.")

    async def _call(self, target: Target, headers: Mapping[str, str], body: bytes) -> Outcome:
        addresses = await self._resolve(target.host, target.port)
        self._judge(addresses)
        *others, last = addresses[:ADDRESSES]
        for address in others:
            try:
                return await self._post(target, address, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent
        return await self._post(target, last, headers, body)

    async def _post(
        self, target: Target, address: IPAddress, headers: Mapping[str, str], body: bytes
    ) -> Outcome:
        assert self._transport is not None
        timeout = httpx.Timeout(self._call_seconds, connect=CONNECT_SECONDS)
        request = httpx.Request(
            "POST",
            target.at(address),
            headers={"host": target.authority, "connection": "close", **headers},
            content=body,
            # The certificate must be the name's, not the address'.
            extensions={"timeout": timeout.as_dict(), "sni_hostname": target.host.rstrip(".")},
        )
        answer = await self._transport.handle_async_request(request)
        await answer.aclose()
        error = None if 200 <= answer.status_code < 300 else f"The answer was {answer.status_code}."
        return Outcome(answer.status_code, error)

    def _judge(self, addresses: Sequence[IPAddress]) -> None:
        """Raise TargetRefused unless all of them may be called: of a name that has both kinds, none is."""
        for address in addresses:
            if not self._private_targets and (why := why_private(address)) is not None:
                raise TargetRefused(f"{address} is {why}. WEBHOOK_PRIVATE_TARGETS would allow it.")


def _addresses(found: Sequence[tuple[Any, ...]]) -> list[IPAddress]:
    # A link-local address comes with the zone that it is valid in. Each comes once for each protocol.
    return list(dict.fromkeys(ip_address(str(address[0]).partition("%")[0]) for *_, address in found))


def _sentence(error: httpx.HTTPError) -> str:
    """What went wrong, without the address: that is known, and its path may be a password."""
    kinds = {
        httpx.ConnectTimeout: "The connection could not be made in time",
        httpx.ConnectError: "The connection could not be made",
        httpx.RemoteProtocolError: "The answer was no HTTP",
    }
    kind = next((words for each, words in kinds.items() if isinstance(error, each)), "The connection broke")
    said = str(error)[:200]
    return f"{kind}: {said}." if said else f"{kind}."
