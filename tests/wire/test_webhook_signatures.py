from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from media_service.wire.webhook_signatures import SECRET_BYTES, signed_headers, write_secret


def test_the_specifications_own_example_comes_out() -> None:
    """Published with the specification's libraries."""
    headers = signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("body", [b"", b"{}", b"\x00\xff", b"." * 65536])
def test_id_time_and_body_are_signed_together(body: bytes) -> None:
    secret = write_secret(bytes(range(SECRET_BYTES)))
    assert secret.startswith("whsec_")
    expected = hmac.new(bytes(range(SECRET_BYTES)), b"msg_1.5." + body, hashlib.sha256).digest()
    signature = signed_headers(secret, "msg_1", 5, body)["webhook-signature"]
    assert signature == f"v1,{base64.b64encode(expected).decode()}"
