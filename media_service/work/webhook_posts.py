"""How a webhook's call is sent: HTTP on a connection to one of the addresses that its name was judged by.

Loaded with the first call (work.webhook_calls): most services have no webhooks, and all this takes 7 MB and 0.1 s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

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

from media_service.wire.webhook_targets import IPAddress, Target

CONNECT_SECONDS = 4.0  # to each of the addresses: when the first is not to be reached, the next has time
ADDRESSES = 3  # that are tried, of those that a name has

# The addresses of a name, which may all be called. What it raises, `Poster.post` does.
Judged = Callable[[str, int], Awaitable[Sequence[IPAddress]]]


class Poster:
    """Sends calls; `close` it. `network` is what tests put another in the place of.

    To be made in a thread: it reads the certificate authorities, 20 ms of processor time. SSL_CERT_FILE adds others.
    """

    def __init__(self, addresses: Judged, network: AsyncNetworkBackend | None = None) -> None:
        self._pool = AsyncConnectionPool(
            ssl_context=default_ssl_context(),
            max_connections=None,  # there is one for each webhook at most
            max_keepalive_connections=0,  # each call looks its name up, and is judged
            network_backend=_Dialler(network or AnyIOBackend(), addresses),
        )

    async def close(self) -> None:
        """When nothing is sent any more."""
        await self._pool.aclose()

    async def post(self, target: Target, headers: Mapping[str, str], body: bytes) -> int | str:
        """The status of the answer, or a sentence why there is none. Raises TimeoutError, and what looking up does."""
        try:
            return await self._post(target, headers, body)
        except TimeoutException:
            raise TimeoutError from None
        except (NetworkError, ProtocolError) as error:
            return _sentence(error)

    async def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> int:
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
    """Connects to names: to the first of their addresses that can be reached."""

    def __init__(self, network: AsyncNetworkBackend, addresses: Judged) -> None:
        self._network = network
        self._addresses = addresses

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
        *others, last = (await self._addresses(host, port))[:ADDRESSES]
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
