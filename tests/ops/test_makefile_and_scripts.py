"""The Makefile, the install scripts and the locks: what a fresh machine meets first."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((CHECKOUT / "scripts").glob("*.sh"))
LOCKS = ["requirements.txt", "requirements-dev.txt", "requirements-node.txt"]
# What the scripts call; each is put on a PATH of its own, so that a test decides what else a machine has.
TOOLS = ["sh", "cat", "cut", "dirname", "env", "grep", "mkdir", "rm", "sha256sum", "test", "touch"]


def locked(name: str) -> dict[str, Version]:
    """Package -> version of a lock, normalised names (PEP 503)."""
    rows = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (CHECKOUT / name).read_text(), re.MULTILINE)
    return {normal(package): Version(version) for package, version in rows}


def normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory to be the whole PATH: the bare tools, root, and an apt-get that notes what it is asked."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for tool in TOOLS:
        (directory / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
    executable(directory / "id", "#!/bin/sh\necho 0\n")
    executable(directory / "apt-get", f'#!/bin/sh\necho "$@" >>{tmp_path}/apt.log\n')
    (directory / "python3").symlink_to(sys.executable)
    for program in ("ffmpeg", "ffprobe", "setpriv", "prlimit"):
        executable(directory / program, "#!/bin/sh\n")
    return directory


def packages(machine: Path, purpose: str) -> subprocess.CompletedProcess[str]:
    """Run packages.sh on `machine`. The script adds /usr/sbin by itself, where the real nginx is: a copy does not."""
    text = (CHECKOUT / "scripts" / "packages.sh").read_text().replace("$PATH:/usr/sbin:/sbin", "$PATH")
    scripts = machine.parent / "scripts"
    scripts.mkdir(exist_ok=True)
    (scripts / "packages.sh").write_text(text)
    shutil.copy(CHECKOUT / "scripts" / "find_python.sh", scripts)
    argv = ["sh", str(scripts / "packages.sh"), purpose]
    return subprocess.run(
        argv, env={"PATH": str(machine)}, capture_output=True, text=True, check=False, timeout=60
    )


# --- Makefile and scripts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [*SCRIPTS, CHECKOUT / ".ci" / "run"], ids=lambda path: path.name)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_scripts_are_shell_that_every_sh_reads(script: Path, shell: str) -> None:
    program = shutil.which(shell) or pytest.skip(f"no {shell} here")
    assert subprocess.run([program, "-n", str(script)], capture_output=True, check=False).stderr == b""
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in script.read_text() or script.name == "find_python.sh"
    assert script.stat().st_mode & stat.S_IXUSR


def test_ci_runs_what_a_developer_runs() -> None:
    assert (CHECKOUT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"


def test_help_lists_every_target() -> None:
    text = (CHECKOUT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", text, re.MULTILINE)
    assert {"run", "test", "lint", "torture", "clean", "help"} <= set(targets)
    listed = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for target in targets:
        assert f"make {target} " in listed
        assert f" {target}" in re.findall(r"^\.PHONY:(.*)", text, re.MULTILINE)[0]


def test_every_target_is_read_without_error() -> None:
    for target in ("run", "test", "lint", "format", "torture", "install", "install-dev", "lock", "clean"):
        subprocess.run(["make", "--dry-run", target], cwd=CHECKOUT, capture_output=True, check=True)


# --- packages.sh ------------------------------------------------------------------------------------------------------


def test_apt_is_left_alone_when_nothing_is_missing(machine: Path) -> None:
    done = packages(machine, "run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (machine.parent / "apt.log").exists()


def test_what_is_missing_is_said_and_installed(machine: Path) -> None:
    (machine / "ffprobe").unlink()
    done = packages(machine, "test")
    assert done.returncode == 0
    assert (
        done.stdout == "Installing with apt-get: ffmpeg nginx-light chromium bubblewrap kubernetes-client\n"
    )
    asked = (machine.parent / "apt.log").read_text().splitlines()
    assert asked[0].startswith("update")
    assert asked[1].endswith(" ffmpeg nginx-light chromium bubblewrap kubernetes-client")


def test_without_apt_it_says_what_to_install(machine: Path) -> None:
    (machine / "ffmpeg").unlink()
    (machine / "apt-get").unlink()
    done = packages(machine, "run")
    assert done.returncode == 1
    assert "lacks: ffmpeg" in done.stderr
    assert "no apt-get" in done.stderr


def test_without_root_and_sudo_it_says_the_command(machine: Path) -> None:
    (machine / "ffmpeg").unlink()
    executable(machine / "id", "#!/bin/sh\necho 1000\n")
    done = packages(machine, "run")
    assert done.returncode == 1
    assert "apt-get install --yes --no-install-recommends ffmpeg" in done.stderr
    assert not (machine.parent / "apt.log").exists()


def test_with_sudo_it_asks_for_root(machine: Path) -> None:
    (machine / "ffmpeg").unlink()
    executable(machine / "id", "#!/bin/sh\necho 1000\n")
    executable(machine / "sudo", f'#!/bin/sh\necho sudo "$1" >>{machine.parent}/sudo.log\nexec "$@"\n')
    assert packages(machine, "run").returncode == 0
    assert (machine.parent / "sudo.log").read_text() == "sudo apt-get\n" * 2


def test_a_failing_apt_is_not_passed_over(machine: Path) -> None:
    (machine / "ffmpeg").unlink()
    executable(machine / "apt-get", "#!/bin/sh\nexit 100\n")
    done = packages(machine, "run")
    assert done.returncode == 1
    assert "could not install: ffmpeg" in done.stderr


def test_an_old_python_is_told_after_apt_had_no_newer_one(machine: Path) -> None:
    (machine / "python3").unlink()
    executable(machine / "python3", "#!/bin/sh\nexit 1\n")
    done = packages(machine, "run")
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert "PYTHON=" in done.stderr


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_a_newer_python_beside_an_old_one_is_found(machine: Path, name: str) -> None:
    (machine / "python3").unlink()
    executable(machine / "python3", "#!/bin/sh\nexit 1\n")
    (machine / name).symlink_to(sys.executable)
    assert packages(machine, "run").returncode == 0


# --- environment.sh ---------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that locks nothing, so that its environment is made in a moment."""
    directory = tmp_path / "check out"
    (directory / "scripts").mkdir(parents=True)
    for script in SCRIPTS:
        shutil.copy(script, directory / "scripts")
    (directory / "requirements.txt").write_text("# nothing\n")
    (directory / "requirements-dev.txt").write_text("# nothing either\n")
    return directory


def make_environment(checkout: Path, purpose: str) -> str:
    argv = ["sh", "scripts/environment.sh", purpose]
    done = subprocess.run(
        argv, cwd=checkout, env=dict(os.environ), capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def test_the_environment_is_made_once_and_again_when_the_lock_changes(checkout: Path) -> None:
    first = make_environment(checkout, "run")
    assert "Making .venv" in first
    assert "requirements.txt" in first
    assert make_environment(checkout, "run") == ""
    assert "requirements-dev.txt" in make_environment(checkout, "test")
    assert make_environment(checkout, "test") == ""
    assert make_environment(checkout, "run") == ""  # the test lock holds all of the other one
    (checkout / "requirements.txt").write_text("# something else\n")
    changed = make_environment(checkout, "run")
    assert "Making" not in changed
    assert "requirements.txt" in changed
    interpreter = checkout / ".venv" / "bin" / "python"
    interpreter.unlink()
    interpreter.symlink_to("/nonexistent/python")
    assert "Making .venv" in make_environment(checkout, "run")


def test_a_lock_that_cannot_be_installed_leaves_no_stamp(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text(
        "nothing-of-that-name @ file:///nonexistent.whl --hash=sha256:00\n"
    )
    argv = ["sh", "scripts/environment.sh", "run"]
    for _ in range(2):
        done = subprocess.run(argv, cwd=checkout, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 1
        assert "could not be installed" in done.stderr
    assert not (checkout / ".venv" / "run.stamp").exists()


# --- locks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes(name: str) -> None:
    entries = re.split(r"\n(?=\S)", (CHECKOUT / name).read_text().strip())
    assert entries
    for entry in entries:
        assert re.match(
            r"^[a-z0-9._-]+(\[[a-z,]+\])?==\S+( ; .+)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n?)+$", entry
        ), entry


@pytest.mark.parametrize("name", [*LOCKS, "package.json", "package-lock.json", ".npmrc"])
def test_locks_name_no_address(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    # npm copies from each package where to send money: an address, but nothing is fetched from it.
    text = re.sub(r'"funding": (\{[^}]*\}|\[[^]]*\]|"[^"]*")', "", text)
    for word in ("://", "--index", "--extra-index", "--find-links", "# via", 'resolved"', "/work/", "/root/"):
        assert word not in text, word


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    runs, tests = locked("requirements.txt"), locked("requirements-dev.txt")
    for text in project["project"]["dependencies"]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(runs[normal(wanted.name)]), text
    for text in project["dependency-groups"]["dev"]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(tests[normal(wanted.name)]), text
    assert runs.items() <= tests.items()
    assert "pytest" not in runs


def test_the_browser_libraries_are_locked_whole() -> None:
    asked = json.loads((CHECKOUT / "package.json").read_text())
    lock = json.loads((CHECKOUT / "package-lock.json").read_text())
    assert set(asked["dependencies"]) == {
        "hls.js",
        "swagger-ui-dist",
        "tus-js-client",
        "media-chrome",
        "esbuild",
    }
    assert set(asked["devDependencies"]) == {
        *("shaka-player", "dashjs", "video.js", "vidstack", "waveform-data"),  # only the tests play with them
        *("@uppy/core", "@uppy/tus"),  # only the tests upload with them
        "axe-core",  # only the tests look at the pages with it
        *("@tus/server", "@tus/file-store"),  # only the bench compares with it
    }
    for kind in ("dependencies", "devDependencies"):
        assert all(Version(version) for version in asked[kind].values())  # exact: no ^ or ~
        assert lock["packages"][""][kind] == asked[kind]
    for path, package in lock["packages"].items():
        assert "resolved" not in package
        assert not path or package["integrity"].startswith("sha512-")
    assert "ignore-scripts=true" in (CHECKOUT / ".npmrc").read_text()


def test_the_pages_have_their_libraries_beside_them() -> None:
    vendor = CHECKOUT / "media_service" / "ui" / "vendor"
    for name in (
        "hls.mjs",
        "hls.LICENSE",
        "tus.js",
        "tus.LICENSE",
        "media-chrome.js",
        "media-chrome.LICENSE",
    ):
        assert (vendor / name).stat().st_size > 1000
    names = {path.name for path in (vendor / "swagger-ui").iterdir()}
    assert {
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "favicon-32x32.png",
        "LICENSE",
    } <= names
    for path in vendor.rglob("*.*js"):
        assert "sourceMappingURL" not in path.read_text()
