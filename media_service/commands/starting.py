"""What each process of the service does first."""

from __future__ import annotations

import logging
import os
import sys

from media_service.server.limits import raise_descriptor_limit
from media_service.settings import Settings, unknown


def begin(settings: Settings, *, quiet: bool = False) -> None:
    """Set up the log and the limits. `quiet`: another process has said what is wrong with the environment."""
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # Alembic tells at each start what it is made of.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # A form that does not parse is answered; as lines of a log anybody could write as many as he likes.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    raise_descriptor_limit()
    for name in () if quiet else unknown(os.environ):
        logging.warning("%s is not a setting of this version and does nothing", name)
