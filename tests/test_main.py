"""The command line as a whole: what there is, and that one command does not load the others."""

from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner

from media_service.__main__ import COMMANDS, main


def test_every_command_is_there_and_says_what_it_does() -> None:
    # Litestar warns of itself where it is first imported.
    told = subprocess.run(
        [sys.executable, "-m", "media_service", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    listed = told.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(len(line.split()) > 3 for line in listed)


def test_what_is_no_command_is_said() -> None:
    told = CliRunner().invoke(main, ["bake"])
    assert told.exit_code == 2
    assert "No such command 'bake'" in told.output


def test_who_lists_keys_does_not_load_the_service() -> None:
    script = (
        "import sys; from media_service.__main__ import main\n"
        "try: main(['keys', '--help'])\n"
        "except SystemExit: print(sorted({'media_service.app', 'litestar', 'uvicorn'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
