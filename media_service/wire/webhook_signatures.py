"""How deliveries of webhooks are signed: the Standard Webhooks specification, symmetric signatures (`v1`)."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with, and no secret
SECRET_BYTES = 32  # the specification wants 24 to 64


def write_secret(secret: bytes) -> str:
    """The secret as people pass it on: `whsec_{base64}`."""
    return SECRET_PREFIX + b64encode(secret).decode("ascii")


def signed_headers(secret: str, delivery_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery; `timestamp` is the attempt's, in Unix seconds."""
    key = b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    signed = f"{delivery_id}.{timestamp}.".encode("ascii") + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{b64encode(digest).decode('ascii')}",
    }
