"""What schemathesis has to be told: the media types of resumable uploads are bytes, like any file's."""

from __future__ import annotations

import schemathesis

schemathesis.serializer.alias(
    ["application/offset+octet-stream", "application/partial-upload"], "application/octet-stream"
)
