"""The house rules of docs/why.md that a reviewer would otherwise repeat: who may import whom, how long, how named."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "media_service"

# Imports point left, never right:
#   errors <- wire, mp4, matroska, jpeg, timeline <- memory, ffmpeg, store, work <- ingest, playback <- web <- app <- commands <- __main__
_PURE_FOUNDATION = {"errors"}
_FOUNDATION = {"errors", "wire", "mp4", "matroska", "jpeg", "timeline"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "settings": _PURE_FOUNDATION
    | {"wire"},  # read in app and passed down as plain values; wire says which are well-formed
    "wire": _PURE_FOUNDATION,
    "mp4": _PURE_FOUNDATION,
    "matroska": _PURE_FOUNDATION,
    "jpeg": _PURE_FOUNDATION,
    "timeline": _PURE_FOUNDATION | {"mp4", "matroska"},
    "memory": _FOUNDATION,
    "ffmpeg": _FOUNDATION,  # takes a file descriptor, not a Buffer
    "store": _FOUNDATION,  # keeps what others made as opaque bytes
    "work": _FOUNDATION | {"ffmpeg", "store"},
    "ingest": _FOUNDATION | {"memory", "ffmpeg", "store", "work"},
    "playback": _FOUNDATION | {"memory", "ffmpeg", "store", "work"},
    "web": _FOUNDATION | {"memory", "ffmpeg", "store", "work", "ingest", "playback"},
    "server": set(),  # uvicorn as we run it: knows an ASGI application, not ours
    "ui": set(),  # pages; no code
    "app": _FOUNDATION
    | {"memory", "ffmpeg", "store", "work", "ingest", "playback", "web", "server", "settings"},
    "sender": _FOUNDATION | {"store", "work", "playback", "web", "settings"},
    "doctor": _FOUNDATION | {"ffmpeg", "store", "settings"},
    "commands": _FOUNDATION
    | {
        "ffmpeg",
        "store",
        "work",
        "ingest",
        "playback",
        "web",
        "app",
        "sender",
        "doctor",
        "server",
        "settings",
    },
    "__main__": {"commands"},  # by name, when a command is called
}

PURE = {"wire", "mp4", "matroska", "jpeg", "timeline"}
# fmt: off
DOES_IO = {
    "aiosqlite", "alembic", "anyio", "asyncio", "concurrent", "ctypes", "fcntl", "ffmpeg", "http",
    "httptools", "httpx", "io", "litestar", "logging", "mmap", "multiprocessing", "os", "pathlib.Path",
    "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlalchemy", "sqlite3",
    "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request", "uvicorn", "uvloop",
}
# fmt: on
LITESTAR_IN = {"web", "app", "sender"}
NO_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "base", "misc"}
MODULE_LINES = 300
FUNCTION_LINES = 60


@cache
def modules() -> tuple[Path, ...]:
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            assert node.module is not None
            # `from media_service import errors` names a module, `from media_service.errors import NotFound` does not;
            # both forms are given, and what is no module is dropped by whoever asks.
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """The modules of ours that a file imports."""
    known = {dotted(module) for module in modules()}
    names = {name for name in imported(path) if name in known}
    # `from media_service.wire import ranges` names the package as well; it depends on the module.
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


def layer_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def identify(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", modules(), ids=identify)
def test_imports_point_to_the_left(path: Path) -> None:
    own = layer(path)
    assert own in MAY_IMPORT, f"{own} has no place among the layers"
    wrong = {
        name for name in own_imports(path) if layer_of(name) not in MAY_IMPORT[own] | {own, "__init__"}
    }  # the version
    assert not wrong, f"{identify(path)} may not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", [path for path in modules() if layer(path) in PURE], ids=identify)
def test_pure_layers_import_nothing_that_does_io(path: Path) -> None:
    wrong = {name for name in imported(path) if name in DOES_IO or name.split(".")[0] in DOES_IO}
    assert not wrong, f"{identify(path)} is pure and imports {', '.join(sorted(wrong))}"
    calls = {
        node.func.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input"}


@pytest.mark.parametrize("path", modules(), ids=identify)
def test_litestar_is_known_in_web_and_app_only(path: Path) -> None:
    if layer(path) not in LITESTAR_IN:
        assert not {name for name in imported(path) if name.split(".")[0] == "litestar"}


def test_no_module_imports_itself_over_others() -> None:
    graph = {dotted(path): own_imports(path) for path in modules()}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle
    assert len(order) >= len(graph)


@pytest.mark.parametrize("path", modules(), ids=identify)
def test_modules_and_functions_fit_in_a_head(path: Path) -> None:
    if path.parent.name == "versions" or identify(path) == "errors.py":
        return  # a revision of the tables is a list, written once; the table of errors is one table
    lines = len(path.read_text().splitlines())
    assert lines <= MODULE_LINES, f"{identify(path)} has {lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{identify(path)}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", modules(), ids=identify)
def test_names_say_what_is_inside(path: Path) -> None:
    assert not NO_NAMES & set(path.stem.split("_"))


@pytest.mark.parametrize("path", modules(), ids=identify)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree(path)) or not tree(path).body
