"""schemathesis reads the OpenAPI schema and asks all that it says, and what it forbids: no 5xx, and all of it is true.

Left out are two of its checks and two addresses. No schema can say which bytes are a film, which cursor was given out or
which checksum is right, so that what it admits may be refused all the same; and streams of events have no end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.films import Film, Films
from tests.support.server import CHECKOUT, Server, running_server

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"),
    *("response_headers_conformance", "negative_data_rejection", "unsupported_method", "allow_header_conformance"),
    *("missing_required_header", "ignored_auth", "use_after_free"),
)  # fmt: skip
ENDLESS = "/events$"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
# What is the same handler, and is asked in the torture: HEAD beside GET, addresses with a token beside those without.
TWICE = ("--exclude-method", "HEAD", "--exclude-path-regex", f"^/t/|{ENDLESS}")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that nobody else uses: whatever is there is changed and deleted."""
    with running_server(tmp_path_factory.mktemp("asked"), upload_idle_seconds=5) as running:
        yield running


def ask(server: Server, directory: Path, *options: str) -> str:
    """Run schemathesis; the end of what it prints. It fails for every answer that is not as the schema says."""
    argv = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)]
    argv += ["run", f"{server.url}/schema/openapi.json"]
    argv += ["--header", f"Authorization: Bearer {server.token}", "--checks", ",".join(CHECKS)]
    argv += ["--seed", "1", "--continue-on-failure", "--request-timeout", "20", "--warnings", "off"]
    argv += ["--generation-database", "none", "--no-color", *options]
    environment = os.environ | {
        "PYTHONPATH": str(CHECKOUT),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.schemathesis_hooks",
    }
    # In a directory of its own: it leaves its notes where it runs.
    done = subprocess.run(
        argv, cwd=directory, env=environment, check=False, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cases(printed: str) -> int:
    """How many requests it has made up."""
    found = re.search(r"(\d+) generated", printed)
    assert found is not None, printed
    return int(found[1])


def is_well(server: Server, films: Films) -> bool:
    """Whether the next upload becomes a film, and nothing was called our mistake."""
    assert "failed, request" not in server.log_text(1 << 20)
    with server.client() as client:
        answer = client.put("/api/v1/assets", content=films.film(Film(seconds=1, audio=False)).read_bytes())
    return answer.status_code == 201


def test_answers_are_as_the_schema_says(asked: Server, films: Films, tmp_path: Path) -> None:
    printed = ask(asked, tmp_path, "--phases", "coverage", *TWICE)
    assert cases(printed) > 300
    assert is_well(asked, films)


@pytest.mark.torture
def test_answers_to_many_requests_are_as_the_schema_says(asked: Server, films: Films, tmp_path: Path) -> None:
    phases = ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "50", "--max-time", "300"]
    printed = ask(asked, tmp_path, *phases, "--exclude-path-regex", ENDLESS)
    assert cases(printed) > 2000
    print(printed)
    assert is_well(asked, films)
