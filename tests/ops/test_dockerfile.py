"""The Dockerfile, read as text: no engine is needed to see that it copies what exists and ends up as it should."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
from pathlib import Path

import pytest

from media_service.settings import load, unknown

CHECKOUT = Path(__file__).resolve().parents[2]
# fmt: off
INSTRUCTIONS = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "SHELL", "STOPSIGNAL",
    "USER", "VOLUME", "WORKDIR",
}
# fmt: on


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) with continued lines joined and comments left out (Dockerfile reference, Format)."""
    text = "\n".join(
        line for line in (CHECKOUT / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    lines = [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1].strip()) for line in lines]


def last_stage() -> dict[str, str]:
    """The last of each instruction of the image that runs."""
    every = instructions()
    start = max(number for number, (name, _) in enumerate(every) if name == "FROM")
    return dict(every[start:])


def copies() -> list[tuple[str | None, list[str]]]:
    """(stage copied from or None, sources) of every COPY."""
    found = []
    for name, arguments in instructions():
        if name == "COPY":
            words = shlex.split(arguments)
            stage = next((word.removeprefix("--from=") for word in words if word.startswith("--from=")), None)
            found.append((stage, [word for word in words if not word.startswith("--")][:-1]))
    return found


def ignored(source: str) -> bool:
    """Does .dockerignore keep `source` out of the build? The last pattern that matches decides."""
    verdict = False
    for line in (CHECKOUT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            bare = pattern.removeprefix("!")
            if fnmatch.fnmatch(source, bare) or fnmatch.fnmatch(source, f"{bare}/*"):
                verdict = not pattern.startswith("!")
    return verdict


def test_it_parses() -> None:
    assert {name for name, _ in instructions()} <= INSTRUCTIONS
    assert instructions()[0][0] == "FROM"


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    sources = [source for stage, sources in copies() if stage is None for source in sources]
    assert "media_service" in sources
    for source in sources:
        assert (CHECKOUT / source).exists(), source
        assert not ignored(source), source


def test_stages_that_are_copied_from_exist() -> None:
    named = {
        arguments.split(" AS ")[1]
        for name, arguments in instructions()
        if name == "FROM" and " AS " in arguments
    }
    assert {stage for stage, _ in copies() if stage} <= named


@pytest.mark.parametrize(
    "path",
    ["media/catalog.sqlite3", ".venv/bin/python", ".git/config", "media/admin-token", "node_modules/x"],
)
def test_films_tokens_and_caches_stay_out_of_the_build(path: str) -> None:
    assert ignored(path)


def test_python_packages_come_from_the_lock_with_hashes() -> None:
    [install] = [
        arguments for name, arguments in instructions() if name == "RUN" and "pip install" in arguments
    ]
    assert "--require-hashes" in install
    assert "requirements.txt" in install


def test_it_runs_as_a_user_without_rights() -> None:
    assert last_stage()["USER"] == "10001:10001"


def test_it_serves_by_itself_and_says_how_it_is() -> None:
    stage = last_stage()
    assert json.loads(stage["CMD"]) == ["python", "-m", "media_service", "serve"]
    assert stage["EXPOSE"] == "8000"
    assert stage["VOLUME"] == "/data"
    check = json.loads(stage["HEALTHCHECK"].split("CMD ")[1])
    assert check == ["python", "scripts/healthcheck.py"]  # tests/ops/test_healthcheck.py
    assert (None, ["scripts/healthcheck.py"]) in copies()


def test_its_environment_is_one_that_the_service_reads() -> None:
    variables = dict(word.split("=", 1) for word in shlex.split(last_stage()["ENV"]))
    assert unknown(variables) == []
    settings = load(variables)
    assert (settings.host, settings.port, str(settings.data_dir)) == ("0.0.0.0", 8000, "/data")
