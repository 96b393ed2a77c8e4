"""How many files and connections the process may have open."""

from __future__ import annotations

import logging
import resource

# A download takes a socket twice (server.zero_copy) and up to three blobs, an upload two or three, a transcode about ten.
COMFORTABLE_DESCRIPTORS = 4096

log = logging.getLogger(__name__)


def raise_descriptor_limit() -> None:
    """Raise the soft limit to the hard one, and say so in the log when that is still few.

    The soft limit is 1024 on most systems for the sake of programs that use select(); this is none of them.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < COMFORTABLE_DESCRIPTORS:
        log.warning("only %d files and connections may be open at once (ulimit -n)", hard)
