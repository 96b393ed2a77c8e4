"""Whether a connection is read: uvicorn's protocol has its reasons, and who stands before it has others."""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl


class Flow(FlowControl):
    """uvicorn's, and besides: nothing is read while it is `held`, whatever the protocol wants."""

    held = False

    def hold(self) -> None:
        """For who stands between the transport and the protocol, and has enough."""
        self.held = True
        self.pause_reading()

    def release(self) -> None:
        """It may go on."""
        self.held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """The protocol has had its reasons, and has them no more."""
        if self.read_paused and not self.held:
            super().resume_reading()
