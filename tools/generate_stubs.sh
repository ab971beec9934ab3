#!/usr/bin/env bash
# Generates the committed protobuf stubs with the pinned compiler, into protos/ or into the folder given as $1.
#
# The compiler is the one of protobuf 6.31, the oldest major that the machine-learning dependencies accept (onnx asks
# for 6.31.1): stubs of an older major load under a newer runtime, never the other way round. It lives in an environment
# of its own because grpcio-tools of that age and the newest protobuf exclude each other.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/protos}
python=${PYTHON:-python3}
venv=$root/.venv-stubs
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import grpc_tools, mypy_protobuf' 2>/dev/null; then
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install -q -r "$root/tools/requirements-stubs.txt"
fi
cd "$root/protos"
PATH=$venv/bin:$PATH "$venv/bin/python" -m grpc_tools.protoc -I. \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="quiet:$out" --mypy_grpc_out="quiet:$out" \
  steelyard_protocol/v1/*.proto
