#!/usr/bin/env bash
# Installs the bare wheel into an empty environment: the agent must start there without any controller dependency, and
# `steelyard` there must answer with the one pip line that is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m build --wheel --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install -q -c constraints.txt "$work"/dist/steelyard-*.whl
echo "-- installed with the bare wheel:"
"$work/venv/bin/pip" list --format=freeze
for name in click rich sqlalchemy alembic scipy onnx onnxruntime jinja2; do
  if "$work/venv/bin/python" -c "import $name" 2>/dev/null; then
    echo "the bare wheel brought $name: it belongs to an extra"; exit 1
  fi
done
"$work/venv/bin/steelyard-agent" --version
"$work/venv/bin/steelyard-agent" doctor
set +e
answer=$("$work/venv/bin/steelyard" demo 2>&1); code=$?
set -e
echo "$answer"
[ "$code" = 2 ] || { echo "steelyard without its extra ended with $code, not 2"; exit 1; }
grep -qF "pip install 'steelyard[controller]'" <<<"$answer" || { echo "no pip line in the answer"; exit 1; }
echo "wheel check passed"
