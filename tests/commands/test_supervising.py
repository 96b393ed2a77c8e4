"""What the workers of a service are started with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from media_service.commands.supervising import interpreter
from tests.support.server import CHECKOUT


def test_what_lies_in_the_working_directory_is_not_run_unless_the_supervisor_itself_comes_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "colorsys.py").write_text("print('found')")
    monkeypatch.chdir(tmp_path)
    for first, found in ((str(CHECKOUT), ""), ("", "found\n"), (str(tmp_path), "found\n")):
        monkeypatch.setattr(sys, "path", [first, *sys.path[1:]])
        ran = subprocess.run(
            [*interpreter(), "-m", "colorsys"], stdout=subprocess.PIPE, text=True, check=True
        )
        assert ran.stdout == found
