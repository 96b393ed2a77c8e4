#!/bin/sh
# Makes .venv from a lock, hash by hash. Usage: scripts/environment.sh run | test
# Does nothing when that has been done: the stamp holds the lock's digest and the interpreter, and nothing else counts.
set -eu
cd "$(dirname "$0")/.."

PURPOSE=${1:-run}
case $PURPOSE in
    run) LOCK=requirements.txt ;;
    test) LOCK=requirements-dev.txt ;;
    *) echo "usage: $0 run | test" >&2; exit 2 ;;
esac

usable() { .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
stamp() { { .venv/bin/python -VV; cat "$1"; } | sha256sum | cut -d' ' -f1; }
done_before() { [ "$(cat ".venv/$1.stamp" 2>/dev/null)" = "$(stamp "$2")" ]; }

if ! usable; then # absent, or its interpreter has been removed or moved since
    python=$(sh scripts/find_python.sh) || {
        echo "No Python >= 3.11 with venv was found. 'make install' installs Debian's; or name one: PYTHON=/path/to/python make run" >&2
        exit 1
    }
    echo "Making .venv with $python"
    rm -rf .venv
    "$python" -m venv .venv
fi

if done_before "$PURPOSE" "$LOCK"; then
    exit 0
fi
echo "Installing Python packages from $LOCK into .venv"
rm -f .venv/run.stamp .venv/test.stamp # an install that is cut short must not look finished
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$LOCK" || {
    echo "The Python packages could not be installed; pip's own message is above. Run make again once that is solved." >&2
    exit 1
}
stamp "$LOCK" >".venv/$PURPOSE.stamp"
# The test lock holds everything of the other one, at the same versions.
if [ "$PURPOSE" = test ]; then
    stamp requirements.txt >.venv/run.stamp
fi
