"""The pages' pure modules under Node.js: one process for many calls, a line of JSON there and a line back."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MODULES = Path(__file__).resolve().parents[2] / "media_service" / "ui" / "js"

# `expression` sees the module's exports as `it` and the argument as `x`. Undefined becomes null.
DRIVER = """
import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin })) {
  const { module, expression, x } = JSON.parse(line);
  let answer;
  try {
    const it = await import(module);
    answer = { value: new Function("it", "x", `return (${expression})`)(it, x) ?? null };
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(answer));
}
"""


class Node:
    """A running Node.js that evaluates expressions over one module."""

    def __init__(self, process: subprocess.Popen[str], module: Path) -> None:
        self._process = process
        self._module = module.as_uri()

    def __call__(self, expression: str, x: object = None) -> Any:
        """The value of `expression` as JSON gives it; AssertionError with the exception's name if it threw."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"module": self._module, "expression": expression, "x": x}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["value"]


def node_with(name: str, directory: Path) -> Iterator[Node]:
    """Node.js with the module `name`, and all that it may import, copied to `directory`; skips without Node.js. For use in a fixture."""
    if shutil.which("node") is None:
        pytest.skip("node is absent: the pages' pure modules are tried in the browser only")
    (directory / "package.json").write_text('{"type": "module"}')  # else .js means CommonJS to Node.js
    (directory / "driver.js").write_text(DRIVER)
    for module in MODULES.glob("*.js"):
        shutil.copy(module, directory)
    with subprocess.Popen(
        ["node", "driver.js"], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Node(process, directory / name)
        # Leaving the `with` closes stdin, which ends the driver, and waits for it.
