#!/usr/bin/env bash
# Builds both images, and lets the agent of the one measure a model for the controller of the other.
#
# Needs buildah, unshare, ip and root. The containers are processes of this machine with a root of their own, in a
# network of their own that leads nowhere. Run it in the repository's root; it leaves the two images and nothing else.
#   sudo bash tools/check_images.sh
# With the argument `run` it takes the images that are there. BUILDAH and BUILD_FLAGS are words to begin with and to
# build with, such as 'buildah --storage-driver vfs' and --pull-never.
set -euo pipefail
read -r -a buildah <<<"${BUILDAH:-buildah}"
read -r -a build_flags <<<"${BUILD_FLAGS:-}"
names=(controller agent)

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*"; }

if [ "${1:-}" = "" ]; then
  for name in "${names[@]}"; do
    say "building steelyard-$name"
    "${buildah[@]}" bud "${build_flags[@]}" -f "deploy/Dockerfile.$name" -t "steelyard-$name" .
  done
fi
# Nothing that runs may need the internet, nor be in the way of what listens here.
if [ "${1:-}" != apart ]; then exec unshare --net --pid --fork --kill-child --mount-proc bash "$0" apart; fi

ip link set lo up
work=$(mktemp -d)
pids=()

finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait || true
  for name in "${names[@]}"; do "${buildah[@]}" rm "check-$name" >/dev/null 2>&1 || true; done
  rm -rf "$work"
}
trap finish EXIT

# of_image NAME TEMPLATE: a field of the image's configuration, a word a line.
of_image() { "${buildah[@]}" inspect --type image --format "$2" "steelyard-$1" | grep .; }

# prepare NAME: a container, and a volume with what the image has in its place, as an engine makes it.
prepare() {
  local volume
  volume=$(of_image "$1" '{{range $path, $_ := .OCIv1.Config.Volumes}}{{println $path}}{{end}}')
  "${buildah[@]}" from --pull-never --name "check-$1" "steelyard-$1" >/dev/null
  cp -a "$("${buildah[@]}" mount "check-$1")$volume" "$work/$1"
  echo "$volume" >"$work/$1.volume"
}

# inside NAME COMMAND...: as the image's user, with its volume.
inside() {
  local name=$1
  shift
  "${buildah[@]}" run -v "$work/$name:$(cat "$work/$name.volume")" "check-$name" -- "$@"
}

# start NAME MORE...: what the image starts by itself, with more words behind it.
start() {
  local name=$1 words
  shift
  mapfile -t words < <(of_image "$name" '{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}')
  mapfile -t -O "${#words[@]}" words < <(of_image "$name" '{{range .OCIv1.Config.Cmd}}{{println .}}{{end}}')
  say "starting ${words[*]} $*"
  inside "$name" "${words[@]}" "$@" >"$work/$name.log" 2>&1 &
  pids+=($!)
}

# soon COMMAND...: until it succeeds, for a minute.
soon() {
  local left=60
  until "$@" >"$work/soon.log" 2>&1; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { tail -n 20 "$work"/*.log; return 1; }
    sleep 1
  done
}

has_box() { inside controller steelyard device list | grep box; }

# written NAME: files that were changed outside of the volume and /tmp: with none, the root may be read-only.
written() {
  local kept
  kept="^($(cat "$work/$1.volume")|/tmp|/run|/dev|/proc|/sys|/etc/hosts|/etc/resolv.conf|/etc/hostname)(/|$)"
  find "$("${buildah[@]}" mount "check-$1")" -xdev -newer "$work/$1.stamp" -type f -printf '/%P\n' |
    grep -v -E "$kept" || true
}

for name in "${names[@]}"; do
  prepare "$name"
  say "steelyard-$name runs as $(inside "$name" id -u), its volume belongs to $(stat -c %u "$work/$name")"
  touch "$work/$name.stamp"
done
health=$(sed -n 's/^ *test: \["CMD", "python", "-c", "\(.*\)"\]$/\1/p' deploy/compose.yaml)
start controller --advertise 127.0.0.1
say "waiting as compose does: $health"
soon inside controller python -c "$health"
code=$(inside controller steelyard device invite | grep -o -m 1 'sy1-[a-z0-9]*')
printf '%s\n' "$code" | inside agent steelyard-agent enroll - --name box
start agent
soon has_box
models=$(inside controller python -c 'import steelyard.demo as demo; print(demo.__path__[0])')
# On whatever machine this is: what is checked is not the machine.
inside controller steelyard measure --no-gate --max-contention 100% --min-rounds 3 --max-rounds 3 --device box \
  "$models/assets/fashion_mobilenet.onnx"
for name in "${names[@]}"; do
  changed=$(written "$name")
  [ -z "$changed" ] || { say "the $name wrote $changed"; exit 1; }
  say "the $name wrote nothing outside of its volume and /tmp"
done
