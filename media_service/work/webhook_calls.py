"""One call of a webhook: its name looked up once, the addresses judged, the request sent to one of those very addresses.

A name server that answers differently the second time (DNS rebinding) is not asked a second time. Redirects are not followed:
they would lead past the judgement. Of the answer only the status is read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import Any, NamedTuple, Self

from httpcore import (
    SOCKET_OPTION,
    URL,
    AnyIOBackend,
    AsyncConnectionPool,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    ConnectError,
    ConnectTimeout,
    NetworkError,
    ProtocolError,
    TimeoutException,
    default_ssl_context,
)

from media_service.errors import TargetRefused
from media_service.wire.webhook_targets import IPAddress, Target, why_private

CALL_SECONDS = 10.0  # for all of it, the name server's answer too
CONNECT_SECONDS = 4.0  # to each of the addresses: when the first is not to be reached, the next has time
ADDRESSES = 3  # that are tried, of those that a name has

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
        self._dialler = _Dialler(network or AnyIOBackend(), resolve, private_targets=private_targets)
        self._call_seconds = call_seconds
        self._pool: AsyncConnectionPool | None = None

    async def __aenter__(self) -> Self:
        # Reading the authorities takes 20 ms of processor time: once, off the loop. SSL_CERT_FILE adds others.
        trust = await asyncio.to_thread(default_ssl_context)
        self._pool = AsyncConnectionPool(
            ssl_context=trust,
            max_connections=None,  # there is one for each webhook at most
            max_keepalive_connections=0,  # each call looks its name up, and is judged
            network_backend=self._dialler,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._pool is not None
        await self._pool.aclose()

    async def check(self, target: Target) -> None:
        """Raise TargetRefused for a private address, in whichever way a number can be written (127.1, 0x7f000001).

        A name is not looked up: what it says today is not what it says when there is something to tell.
        """
        loop = asyncio.get_running_loop()
        with suppress(socket.gaierror):
            found = await loop.getaddrinfo(
                target.host, target.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
            self._dialler.judge(_addresses(found))

    async def call(self, target: Target, headers: Mapping[str, str], body: bytes) -> Outcome:
        """POST `body`; never raises for what is the receiver's doing, or the network's."""
        try:
            async with asyncio.timeout(self._call_seconds):
                status = await self._post(target, headers, body)
        except (TimeoutError, TimeoutException):
            return Outcome(None, f"There was no answer within {self._call_seconds:g} s.")
        except TargetRefused as error:
            return Outcome(None, error.detail)
        except (NetworkError, ProtocolError) as error:
            return Outcome(None, _sentence(error))
        except OSError as error:
            return Outcome(None, f"The name {target.host} could not be looked up: {error.strerror}.")
        return Outcome(status, None if 200 <= status < 300 else f"The answer was {status}.")

    async def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> int:
        assert self._pool is not None
        request = {
            "host": target.authority,
            **headers,
            "content-length": str(len(body)),
            "connection": "close",
        }
        url = URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        # The certificate is for the name without its last dot (RFC 6066 s3).
        name = {"sni_hostname": target.host.rstrip(".")}
        async with self._pool.stream(
            "POST", url, headers=list(request.items()), content=body, extensions=name
        ) as answer:
            return answer.status


class _Dialler(AsyncNetworkBackend):
    """Connects to names: looks them up, judges all their addresses, and tries one after the other."""

    def __init__(self, network: AsyncNetworkBackend, resolve: Resolve, *, private_targets: bool) -> None:
        self._network = network
        self._resolve = resolve
        self._private_targets = private_targets

    def judge(self, addresses: Sequence[IPAddress]) -> None:
        """Raise TargetRefused unless all of them may be called: of a name that has both kinds, none is."""
        for address in addresses:
            if not self._private_targets and (why := why_private(address)) is not None:
                raise TargetRefused(f"{address} is {why}. WEBHOOK_PRIVATE_TARGETS would allow it.")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """A connection to the first of the name's addresses that can be reached."""
        assert timeout is None, "the whole call has its time"
        addresses = await self._resolve(host, port)
        self.judge(addresses)
        *others, last = addresses[:ADDRESSES]
        for address in others:
            with suppress(ConnectError, ConnectTimeout):
                return await self._connect(address, port, local_address, socket_options)
        return await self._connect(last, port, local_address, socket_options)

    async def _connect(
        self,
        address: IPAddress,
        port: int,
        local_address: str | None,
        socket_options: Iterable[SOCKET_OPTION] | None,
    ) -> AsyncNetworkStream:
        return await self._network.connect_tcp(
            str(address), port, CONNECT_SECONDS, local_address, socket_options
        )


def _addresses(found: Sequence[tuple[Any, ...]]) -> list[IPAddress]:
    # A link-local address comes with the zone that it is valid in. Each comes once for each protocol.
    return list(dict.fromkeys(ip_address(str(address[0]).partition("%")[0]) for *_, address in found))


def _sentence(error: NetworkError | ProtocolError) -> str:
    """What went wrong; nothing in it is of the address but the host."""
    if isinstance(error, ProtocolError):
        what = "The answer was no HTTP"
    elif isinstance(error, ConnectError):
        what = "The connection could not be made"
    else:
        what = "The connection broke"
    said = str(error)[:200]
    return f"{what}: {said}." if said else f"{what}."
