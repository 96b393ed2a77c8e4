#!/bin/sh
# Installs what a machine lacks, from Debian's packages. Usage: scripts/packages.sh run | test
# Says what it installs; does not touch apt when nothing is missing; says what to do when it cannot install.
set -eu

PURPOSE=${1:-run}
PATH="$PATH:/usr/sbin:/sbin" # nginx lives there, and an ordinary user's PATH leaves it out

MISSING=
needs() { # needs PACKAGE TEST...: notes the package when the test fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || MISSING="$MISSING $package"
}

# A Python that can make virtual environments: Debian ships that part as a package of its own.
has_python() { sh "$(dirname "$0")/find_python.sh"; }

needs ffmpeg sh -c 'command -v ffmpeg && command -v ffprobe'
needs util-linux sh -c 'command -v setpriv && command -v prlimit' # the fence around every ffmpeg
needs fonts-dejavu-core test -r /usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf # the sample film's clock
needs "python3 python3-venv" has_python
if [ "$PURPOSE" = test ]; then
    needs nginx-light command -v nginx # the proxy that k8s/nginx.conf is for
    needs chromium command -v chromium # the watch page is tested in a real browser
    needs bubblewrap command -v bwrap # the fence of machines without Landlock
    needs kubernetes-client command -v kubectl # renders k8s/
fi

[ -n "$MISSING" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "This machine lacks:$MISSING (Debian's package names), and there is no apt-get to install them with." >&2
    echo "Install the same programs in your system's way, then run make again." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    AS_ROOT=
elif command -v sudo >/dev/null 2>&1; then
    AS_ROOT=sudo
else
    echo "This machine lacks:$MISSING. Installing needs root, and there is no sudo. As root, run:" >&2
    echo "    apt-get update && apt-get install --yes --no-install-recommends$MISSING" >&2
    exit 1
fi

echo "Installing with apt-get:$MISSING"
export DEBIAN_FRONTEND=noninteractive
# A stale list names files that are gone; a machine without network may still have what it needs in its cache.
$AS_ROOT apt-get update -qq || echo "apt-get update failed; trying with the package lists that are here" >&2
# shellcheck disable=SC2086 # the list is split on purpose
if ! $AS_ROOT apt-get install --yes -qq --no-install-recommends $MISSING; then
    echo "apt-get could not install:$MISSING. Its own message is above; run make again once that is solved." >&2
    exit 1
fi
if ! has_python >/dev/null; then
    echo "This system's python3 is older than 3.11. Install Python 3.11 or newer (with venv), or name one: PYTHON=/path/to/python make run" >&2
    exit 1
fi
