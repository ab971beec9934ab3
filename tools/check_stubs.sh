#!/usr/bin/env bash
# Fails when the committed protobuf stubs are not what the pinned compiler makes of the .proto files.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$root/tools/generate_stubs.sh" "$fresh" 2>/dev/null
status=0
for stub in "$fresh"/steelyard_protocol/v1/*; do
  diff -u "$root/protos/steelyard_protocol/v1/$(basename "$stub")" "$stub" || status=1
done
[ "$status" = 0 ] || echo "stubs are stale: run 'make stubs' and commit the result"
exit "$status"
