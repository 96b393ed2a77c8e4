"""What scripts on other origins may do: everything below `/media` and `/t`, and nothing else (Fetch Standard, s3.2).

Which origins these are, the setting CORS_ORIGINS says; `headers` adds their names to every answer below these addresses.
No credentials are involved anywhere here, so that "*" gives away nothing that a program could not fetch as well.
"""

from __future__ import annotations

PUBLIC_PREFIX = ("/media/", "/t/")

ALLOW_ORIGIN = "access-control-allow-origin"
EXPOSE_HEADERS = "access-control-expose-headers"

# Players on other origins must be able to send and to read these (design.md s6).
CORS = ((EXPOSE_HEADERS.encode(), b"Accept-Ranges, Content-Length, Content-Range, ETag"),)
# Errors too: without this a player sees a 503 that says when to come back as a network that is down.
PROBLEM_CORS = {EXPOSE_HEADERS: "Retry-After"}
PREFLIGHT = {
    "access-control-allow-methods": "GET, HEAD, OPTIONS",
    "access-control-allow-headers": "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since",
    "access-control-max-age": "86400",
    "allow": "GET, HEAD, OPTIONS",
}
