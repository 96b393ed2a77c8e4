"""What a start costs: only what each process needs is loaded, and it holds little while nobody asks for anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import CHECKOUT, running_server

MOST_BYTES = 80_000_000
# Some take a tenth of a second and ten megabytes each, and most services never need them.
RARE = (
    "alembic",
    "httpcore",
    "httpx",
    "sqlalchemy.orm",
    "sqlalchemy.dialects.postgresql",
    "media_service.doctor",
)
ALL_OF_IT = (
    *RARE,
    "litestar",
    "sqlalchemy",
    "uvicorn.protocols",
    "media_service.app",
    "media_service.store.catalog",
)


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (["media_service.commands.serving", "media_service.commands.alone"], RARE),
        (["media_service.commands.main_process"], RARE),
        (["media_service.commands.sender_process"], RARE),
        (["media_service.commands.serving", "media_service.commands.supervising"], ALL_OF_IT),
    ],
    ids=["alone", "main", "sender", "supervisor"],
)
def test_a_process_loads_what_it_needs(modules: list[str], unwanted: tuple[str, ...]) -> None:
    script = f"import {', '.join(modules)}, sys; print(sorted({{*{unwanted}}} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_a_service_that_nobody_asks_holds_less_than_80_mb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Compiled, as in the image: the compiler leaves garbage behind.
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "compiled"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    with running_server(tmp_path):
        pass
    with running_server(tmp_path) as server:
        [held] = [
            int(line.split()[1]) * 1024
            for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
            if line.startswith("VmRSS:")
        ]
    assert held < MOST_BYTES
