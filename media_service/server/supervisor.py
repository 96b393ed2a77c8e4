"""One service in several processes: starts them, starts anew who dies, ends them all.

One is the main process, the service as it is without others; the rest are senders, which answer what players fetch and hand
the connections of everything else over to it (server.moving). What they share the supervisor has and they inherit: the
listening sockets, so that nothing that waits there is lost with one of them, and the data directory's lock. It does nothing
else: no request, no catalog, no event loop.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal

from media_service.server.leash import READY, tell
from media_service.server.moving import channel

Role = Literal["main", "sender"]

# Before one that died is started anew: each time twice as long, until one has lived for LONG_SECONDS.
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
LONG_SECONDS = 30.0
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Worker:
    """A place for one process; `process` is None while it is to be started at `due` (monotonic seconds)."""

    name: str
    role: Role
    process: subprocess.Popen[bytes] | None = None
    leash: socket.socket | None = None
    serves: bool = False
    died: int = 0
    started: float = 0.0
    due: float = field(default=0.0)


class Supervisor:
    """`command(role, leash, way)` is what to run, with the descriptors of a worker's end of its leash and of its end of the way
    from the senders to the main process; `environment(role)` is what it runs in. `sockets` are inherited by all, and the data
    directory's `lock` by the main process. `on_listening` is called once, when all serve.
    """

    def __init__(
        self,
        command: Callable[[Role, int, int], Sequence[str]],
        *,
        workers: int,
        sockets: Sequence[socket.socket],
        lock: int,
        environment: Callable[[Role], Mapping[str, str]],
        on_listening: Callable[[], None],
    ) -> None:
        self._command = command
        self._sockets = sockets
        self._lock = lock
        self._environment = environment
        self._on_listening = on_listening
        self._main = _Worker("main process", "main")
        self._senders = [_Worker(f"sender {number}", "sender") for number in range(1, workers)]
        # Both ends are kept: what a main process has not taken is the next one's, whatever becomes of it.
        self._taking, self._way = channel()
        self._announced = False
        self._signals: list[int] = []
        self._stopping = False
        self._status = 0

    def run(self) -> int:
        """Until a signal says stop, or the start fails: the exit status."""
        awake, bell = socket.socketpair()
        with awake, bell:
            awake.setblocking(False)  # noqa: FBT003 # the socket's own
            bell.setblocking(False)  # noqa: FBT003
            before = signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
            handlers = {number: signal.signal(number, self._heard) for number in SIGNALS}
            try:
                while self._going():
                    self._start_due()
                    self._wait(awake)
                    self._obey()
                    self._bury()
            finally:
                signal.set_wakeup_fd(before)
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        return self._status

    @property
    def _all(self) -> list[_Worker]:
        return [self._main, *self._senders]

    def _going(self) -> bool:
        return not self._stopping or any(worker.process is not None for worker in self._all)

    def _heard(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _wait(self, awake: socket.socket) -> None:
        """For a signal, a word of a worker, or the time to start one."""
        leashes = {worker.leash.fileno(): worker for worker in self._all if worker.leash is not None}
        poll = select.poll()
        for descriptor in (awake.fileno(), *leashes):
            poll.register(descriptor, select.POLLIN)
        due = [worker.due for worker in self._all if worker.process is None and not self._stopping]
        pause = max(0.0, min(due) - time.monotonic()) * 1000 if due else None
        for descriptor, _ in poll.poll(pause):
            if descriptor == awake.fileno():
                with suppress(BlockingIOError):
                    awake.recv(4096)
            else:
                self._hear(leashes[descriptor])

    def _hear(self, worker: _Worker) -> None:
        assert worker.leash is not None
        try:
            word = worker.leash.recv(1)
        except ConnectionError:  # it has not even read what it was told
            word = b""
        if word != READY:  # it has ended; the signal that says so comes
            worker.leash.close()
            worker.leash = None
            return
        worker.serves = True
        if worker is self._main:
            for sender in self._senders:
                self._show_way(sender)
        if not self._announced and all(one.serves for one in self._all):
            self._announced = True
            self._on_listening()

    def _show_way(self, sender: _Worker) -> None:
        """Tell a sender that there is a main process, or that there is none, also for one that waits to begin."""
        if sender.leash is not None and (self._main.serves or self._announced):
            with suppress(OSError):  # it has just ended
                tell(sender.leash, main_serves=self._main.serves)

    def _start_due(self) -> None:
        if self._stopping:
            return
        for worker in self._all:
            if worker.process is None and worker.due <= time.monotonic():
                self._start(worker)

    def _start(self, worker: _Worker) -> None:
        # Also of one that never comes to be: for want of memory it must not be tried as often as one that has lived long.
        worker.started = time.monotonic()
        try:
            self._begin(worker)
        except OSError as error:
            log.error("the %s cannot be started: %s", worker.name, error.strerror)  # noqa: TRY400 # of no use: the traceback
            self._died(worker, 1)
            return
        if worker is not self._main:
            self._show_way(worker)

    def _begin(self, worker: _Worker) -> None:
        way = self._taking if worker is self._main else self._way
        worker.leash, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            inherited = [each.fileno() for each in (*self._sockets, theirs, way)]
            worker.process = subprocess.Popen(
                self._command(worker.role, theirs.fileno(), way.fileno()),
                pass_fds=[*inherited, self._lock] if worker is self._main else inherited,
                env=dict(self._environment(worker.role)),
                stdin=subprocess.DEVNULL,
                # Ctrl-C goes to all of a terminal's group; the workers hear of it once, and from here.
                process_group=0,
            )

    def _obey(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGCHLD:
                continue
            if not self._stopping:
                self._stop()
            elif number == signal.SIGINT:
                self._send(signal.SIGINT)  # a second Ctrl-C: at once

    def _stop(self) -> None:
        self._stopping = True
        # Who comes now is refused by the kernel, and does not wait for somebody who answers.
        for each in (*self._sockets, self._taking, self._way):
            each.close()
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for worker in self._all:
            if worker.process is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)

    def _bury(self) -> None:
        """Learn who has ended: workers, and as the first process of a container whoever they have left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for worker in self._all:
                if worker.process is not None and worker.process.pid == pid:
                    worker.process.returncode = os.waitstatus_to_exitcode(status)
                    self._died(worker, worker.process.returncode)

    def _died(self, worker: _Worker, code: int) -> None:
        served, worker.serves, worker.process = worker.serves, False, None
        if worker.leash is not None:
            worker.leash.close()
            worker.leash = None
        if self._stopping:
            # Killed by our own signal before it could hear it is no failure.
            if code and (served or code != -signal.SIGTERM):
                log.error("the %s ended with status %d", worker.name, code)
                self._status = 1
            return
        if not self._announced:
            # As without others: what keeps the service from starting is said by now, and ends it.
            self._status = 1
            self._stop()
            return
        now = time.monotonic()
        worker.died = 0 if now - worker.started >= LONG_SECONDS else worker.died
        pause = min(FIRST_PAUSE_SECONDS * 2**worker.died, LONGEST_PAUSE_SECONDS)
        worker.died += 1
        worker.due = now + pause
        if worker is self._main:
            for sender in self._senders:
                self._show_way(sender)
        log.error("the %s ended with status %d; a new one starts in %.1f s", worker.name, code, pause)
