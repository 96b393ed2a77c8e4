"""What scripts on other origins may do: everything below `/media`, and nothing else (Fetch Standard, s3.2)."""

from __future__ import annotations

PUBLIC_PREFIX = "/media/"

ALLOW_ORIGIN = "access-control-allow-origin"
EXPOSE_HEADERS = "access-control-expose-headers"

# Players on other origins must be able to send and to read these (design.md s6). No credentials are involved, so "*".
CORS = (
    (ALLOW_ORIGIN.encode(), b"*"),
    (EXPOSE_HEADERS.encode(), b"Accept-Ranges, Content-Length, Content-Range, ETag"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
)
# Errors too: without this a player sees a 503 that says when to come back as a network that is down.
PROBLEM_CORS = {
    ALLOW_ORIGIN: "*",
    EXPOSE_HEADERS: "Retry-After",
    "cross-origin-resource-policy": "cross-origin",
}
PREFLIGHT = {
    ALLOW_ORIGIN: "*",
    "access-control-allow-methods": "GET, HEAD, OPTIONS",
    "access-control-allow-headers": "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since",
    "access-control-max-age": "86400",
    "allow": "GET, HEAD, OPTIONS",
}
