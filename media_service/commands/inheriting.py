"""What a worker of a service in several processes gets from its supervisor (`commands.supervising`): numbers of descriptors.

What there is to decide was decided, and said, by that; the environment has the secrets too.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

from media_service.commands.starting import begin
from media_service.server.leash import Leash, die_with
from media_service.server.sockets import adopted
from media_service.settings import Settings, load


class Inherited(NamedTuple):
    """The sockets to listen on, the leash, and this process' end of the way from the senders to the main process."""

    settings: Settings
    sockets: list[socket.socket]
    leash: Leash
    way: socket.socket


def inherit(arguments: Sequence[str]) -> Inherited:
    """Take over what was inherited, and end with who left it. `arguments` are from `inheritance`."""
    parent, sockets, leash, way, lock = arguments
    die_with(int(parent))
    settings = load(os.environ)
    begin(settings, quiet=True)
    listening = [int(number) for number in sockets.split(",")]
    for descriptor in (*listening, int(leash), int(way), int(lock)):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 # the function's own; none of it is for ffmpeg
    return Inherited(settings, adopted(listening), Leash(int(leash)), adopted([int(way)])[0])


def inheritance(sockets: Sequence[socket.socket], leash: int, way: int, lock: int) -> list[str]:
    """What `inherit` wants to know, for a child of this process; a sender has no `lock` (-1)."""
    numbers = ",".join(str(each.fileno()) for each in sockets)
    return [str(os.getpid()), numbers, str(leash), str(way), str(lock)]
