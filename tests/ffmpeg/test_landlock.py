"""What is asked of kernels of every version, and that a thread alone is shut in."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from media_service.ffmpeg import landlock


def in_a_thread(version: int, readable: list[str], *tried: Path) -> dict[str, str]:
    """What a thread that has restricted itself may open."""
    found: dict[str, str] = {}

    def shut_in() -> None:
        landlock.restrict(version, readable, ())
        for path in tried:
            try:
                path.open("rb").close()
                found[path.name] = "opened"
            except PermissionError:
                found[path.name] = "refused"

    thread = threading.Thread(target=shut_in)
    thread.start()
    thread.join()
    return found


@pytest.mark.parametrize(
    ("version", "rights", "tcp", "scopes"),
    [
        (1, 0x1FFF, 0, 0),
        (2, 0x3FFF, 0, 0),  # + REFER
        (3, 0x7FFF, 0, 0),  # + TRUNCATE
        (4, 0x7FFF, 3, 0),  # + BIND_TCP, CONNECT_TCP
        (5, 0xFFFF, 3, 0),  # + IOCTL_DEV
        (6, 0xFFFF, 3, 3),  # + abstract sockets, signals
        (7, 0xFFFF, 3, 3),
        (99, 0xFFFF, 3, 3),  # what is not invented yet is not asked for
    ],
)
def test_each_version_is_asked_for_what_it_knows(version: int, rights: int, tcp: int, scopes: int) -> None:
    assert landlock.handled(version) == (rights, tcp, scopes)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
def test_a_kernel_without_it_has_version_0(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, "no")

    monkeypatch.setattr(landlock, "call", refuse)
    assert landlock.version() == 0


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("version", range(1, landlock.version() + 1))
def test_one_thread_is_shut_in_and_the_others_are_not(version: int, tmp_path: Path) -> None:
    below, beside, alone = tmp_path / "given" / "below", tmp_path / "beside", tmp_path / "alone"
    below.parent.mkdir()
    for path in (below, beside, alone):
        path.touch()
    missing = str(tmp_path / "missing")
    found = in_a_thread(version, [str(below.parent), str(alone), missing], below, beside, alone)
    assert found == {"below": "opened", "beside": "refused", "alone": "opened"}
    assert beside.read_bytes() == b""
