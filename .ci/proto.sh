#!/usr/bin/env bash
# Lints the API and compares it with the published one. With --accept, today's API becomes the published one.
set -euo pipefail
cd "$(dirname "$0")/.."

buf_version=1.75.0 # one version for everybody: lint rules change between versions

buf=${LINLI_BUF:-$(command -v buf || true)}
if [ -z "$buf" ]; then
    prefix=$(mktemp -d)
    trap 'rm -rf "$prefix"' EXIT
    npm install --prefix "$prefix" --no-save --no-fund --no-audit --silent "@bufbuild/buf@$buf_version"
    buf=$prefix/node_modules/.bin/buf
fi

"$buf" lint proto
"$buf" breaking proto --against proto/baseline.binpb

if [ "${1:-}" = --accept ]; then
    "$buf" build proto --exclude-source-info --output proto/baseline.binpb
fi
