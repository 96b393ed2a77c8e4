"""Uppy in a page, and what it does there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Page

from tests.support.players import EMPTY_PAGE

ESBUILD = Path(__file__).resolve().parents[2] / "node_modules" / ".bin" / "esbuild"
SOURCE = Path(__file__).with_suffix(".mjs")
INPUT = "<input type=file>"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened so far. `requests`: method and Upload-Offset of each; `sent` in bytes; `asset`: its address."""

    requests: list[tuple[str, str | None]]
    sent: int
    asset: str | None
    error: str | None


def bundle(directory: Path) -> Path:
    """Uppy, its tus plugin and our page's script in one file; skips where they are not installed."""
    if not ESBUILD.exists():
        pytest.skip(f"{ESBUILD} is absent; `make install-dev` brings it")
    path = directory / "uppy.js"
    argv = [
        str(ESBUILD),
        str(SOURCE),
        "--bundle",
        "--format=iife",
        "--log-level=warning",
        f"--outfile={path}",
    ]
    subprocess.run(argv, check=True)
    return path


async def begin(page: Page, origin: str, script: Path, film: Path, token: str) -> None:
    """Open a page of that origin and upload the film from it; a film that was begun in it before is gone on with."""
    await page.goto(f"{origin}{EMPTY_PAGE}")
    await page.set_content(INPUT)
    await page.add_script_tag(path=script)
    await page.set_input_files("input", film)
    await page.evaluate("(token) => begin(token)", token)


async def seen(page: Page) -> Seen:
    """What the page has noted."""
    return msgspec.convert(await page.evaluate("seen"), Seen)
