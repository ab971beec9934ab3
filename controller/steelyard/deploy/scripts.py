"""The shell texts that change a device, in POSIX sh (dash, busybox). Each may be run twice; none asks anything.

Their variables are set by ``remote.Remote.run``. Those of ``layout_variables`` hold in all of them: PREFIX, STATE,
UNIT, UNIT_PATH ("" without systemd), RULES_PATH ("" for none), SYSTEMCTL ("" without systemd) and SERVICE_USER ("" for
the login itself).
"""

from __future__ import annotations

from steelyard.deploy.layout import UNIT, Layout, ServiceKind


def layout_variables(layout: Layout, *, user: str) -> dict[str, str]:
    """Return the variables that every text reads."""
    systemctl = {ServiceKind.SYSTEM: "systemctl", ServiceKind.USER: "systemctl --user", ServiceKind.PROCESS: ""}
    return {
        "PREFIX": layout.prefix,
        "STATE": layout.state,
        "UNIT": UNIT,
        "UNIT_PATH": layout.unit,
        "RULES_PATH": layout.rules,
        "SYSTEMCTL": systemctl[layout.kind],
        "SERVICE_USER": user if layout.kind is ServiceKind.SYSTEM else "",
    }


STAGE = 'mktemp -d "${TMPDIR:-/tmp}/steelyard-deploy.XXXXXX"'
UNSTAGE = 'rm -rf "$STAGED"'

# Folders that are missing are noted before they are made, so that a removal leaves none behind.
_FUNCTIONS = r"""
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
make_folder() {
  if [ -d "$1" ]; then return 0; fi
  make_folder "$(dirname "$1")"
  mkdir "$1"
  case "$1" in "$PREFIX"|"$STATE") ;; *) MADE="$MADE$1
" ;; esac
}
note_made() {
  if [ -n "$MADE" ]; then printf '%s' "$MADE" >> "$PREFIX/made-folders"; fi
  MADE=
}
MADE=
as_service_user() {
  if [ -n "$SERVICE_USER" ] && [ "$(id -un)" != "$SERVICE_USER" ]; then
    if command -v runuser >/dev/null 2>&1; then runuser -u "$SERVICE_USER" -- "$@"
    else su -s /bin/sh "$SERVICE_USER" -c 'exec "$0" "$@"' -- "$@"; fi
  else "$@"; fi
}
lives() {
  # The state follows the name in parentheses; a zombie waits only for whoever started it.
  case "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null)" in ""|Z*|X*) return 1 ;; esac
}
stop_process() {
  if [ ! -f "$PREFIX/agent.pid" ]; then return 0; fi
  pid=$(cat "$PREFIX/agent.pid")
  # A number that went to another program since is left alone.
  if grep -q steelyard_agent "/proc/$pid/cmdline" 2>/dev/null; then
    kill "$pid" 2>/dev/null || true
    left=60
    while [ "$left" -gt 0 ] && lives "$pid"; do sleep 0.5; left=$((left - 1)); done
    if lives "$pid"; then kill -9 "$pid" 2>/dev/null || true; fi
  fi
  rm -f "$PREFIX/agent.pid"
}
start_process() {
  stop_process
  (cd "$STATE" && exec setsid nohup "$PREFIX/run-agent" </dev/null >"$STATE/agent.log" 2>&1) &
  pid=$!
  echo "$pid" > "$PREFIX/agent.pid"
  # The agent writes its number into its lock once it works.
  left=120
  while [ "$left" -gt 0 ] && lives "$pid"; do
    if [ "$(cat "$STATE/agent.lock" 2>/dev/null)" = "$pid" ]; then return 0; fi
    sleep 0.5; left=$((left - 1))
  done
  tail -n 1 "$STATE/agent.log" >&2
  return 1
}
start_service() {
  if [ -z "$SYSTEMCTL" ]; then start_process; return; fi
  # A unit of Type=notify: the restart waits until the agent says that it is ready.
  $SYSTEMCTL daemon-reload && $SYSTEMCTL enable -q "$UNIT" && $SYSTEMCTL restart "$UNIT"
}
stop_service() {
  if [ -z "$SYSTEMCTL" ]; then stop_process; return; fi
  $SYSTEMCTL stop "$UNIT" 2>/dev/null || true
}
replace_link() {
  # Where mv knows no -T (an old busybox), the link is missing for a moment.
  mv -T "$1" "$2" 2>/dev/null || { rm -f "$2"; mv "$1" "$2"; }
}
go_back() {
  if [ ! -L "$PREFIX/previous" ]; then return 1; fi
  broken=$(readlink "$PREFIX/current")
  replace_link "$PREFIX/previous" "$PREFIX/current"
  for kept in unit run-agent; do
    if [ -f "$PREFIX/previous-$kept" ]; then
      if [ "$kept" = unit ]; then cp "$PREFIX/previous-unit" "$UNIT_PATH"
      else mv "$PREFIX/previous-run-agent" "$PREFIX/run-agent"; fi
      rm -f "$PREFIX/previous-$kept"
    fi
  done
  if [ "$broken" != "$(readlink "$PREFIX/current")" ]; then rm -rf "${PREFIX:?}/$broken"; fi
  start_service
}
"""

# PYTHON, VENV_FLAGS, LABEL, STAGED, REQUIREMENT, INDEX ("--no-index", or "" for the device's own).
INSTALL = (
    _FUNCTIONS
    + r"""
umask 022
make_folder "$PREFIX"; note_made
mkdir -p "$PREFIX/versions"
version="$PREFIX/versions/$LABEL"
if [ -f "$version/complete" ]; then exit 0; fi
trap 'status=$?; if [ "$status" != 0 ]; then rm -rf "$version"; fi; exit "$status"' EXIT
rm -rf "$version"
"$PYTHON" -m venv $VENV_FLAGS "$version"
pip="$version/bin/python -m pip"
for wheel in "$STAGED"/wheels/pip-*.whl; do
  # Debian's venv comes without pip; pip runs from its own wheel.
  if [ -f "$wheel" ]; then pip="$version/bin/python $wheel/pip"; fi
done
$pip install -q --disable-pip-version-check --no-cache-dir $INDEX --find-links "$STAGED/wheels" \
  "$STAGED/wheels/$REQUIREMENT"
"$version/bin/python" -m steelyard_agent --version >/dev/null
: > "$version/complete"
"""
)

# A user that was there before stays there after a removal.
PREPARE = (
    _FUNCTIONS
    + r"""
umask 022
if [ -n "$SERVICE_USER" ] && ! id -u "$SERVICE_USER" >/dev/null 2>&1; then
  useradd --system --user-group --home-dir "$STATE" --no-create-home --shell /usr/sbin/nologin "$SERVICE_USER"
  echo "$SERVICE_USER" > "$PREFIX/made-user"
fi
make_folder "$STATE"; note_made
chmod 700 "$STATE"
if [ -n "$SERVICE_USER" ]; then chown "$SERVICE_USER:$(id -gn "$SERVICE_USER")" "$STATE"; fi
"""
)

# LABEL, NAME, CODE.
ENROLL = (
    _FUNCTIONS
    + r"""
# By standard input: arguments are everybody's to read in /proc.
printf '%s\n' "$CODE" | as_service_user "$PREFIX/versions/$LABEL/bin/python" -m steelyard_agent enroll - \
  --name "$NAME" --state-directory "$STATE" >&2
"""
)

# LABEL, STAGED. What ran before is put back here on the device, so that a link that breaks now changes nothing.
SWITCH = (
    _FUNCTIONS
    + r"""
umask 022
if [ -L "$PREFIX/current" ]; then
  # The same version, too, when it is brought again: what comes back is what ran, with its unit.
  ln -sfn "$(readlink "$PREFIX/current")" "$PREFIX/previous"
  if [ -n "$UNIT_PATH" ] && [ -f "$UNIT_PATH" ]; then cp "$UNIT_PATH" "$PREFIX/previous-unit"; fi
  if [ -f "$PREFIX/run-agent" ]; then cp -p "$PREFIX/run-agent" "$PREFIX/previous-run-agent"; fi
fi
if [ -n "$UNIT_PATH" ]; then
  make_folder "$(dirname "$UNIT_PATH")"; note_made
  cp "$STAGED/unit" "$UNIT_PATH"; chmod 644 "$UNIT_PATH"
else
  cp "$STAGED/run-agent" "$PREFIX/run-agent"; chmod 755 "$PREFIX/run-agent"
fi
if [ -n "$RULES_PATH" ] && [ -f "$STAGED/rules" ]; then
  make_folder "$(dirname "$RULES_PATH")"; note_made
  cp "$STAGED/rules" "$RULES_PATH"; chmod 644 "$RULES_PATH"
  udevadm control --reload && udevadm trigger --subsystem-match=powercap --action=change || true
fi
ln -sfn "versions/$LABEL" "$PREFIX/current.new"
replace_link "$PREFIX/current.new" "$PREFIX/current"
if said=$(start_service 2>&1 >/dev/null); then echo started; exit 0; fi
printf 'said %s\n' "$(printf '%s\n' "$said" | tail -n 1)"
if go_back; then echo rolled_back; exit 0; fi
stop_service
echo failed
"""
)

ROLL_BACK = _FUNCTIONS + "if go_back; then echo rolled_back; else echo nothing_to_go_back_to; fi\n"

# The version that runs and the one before it stay.
PRUNE = r"""
for version in "$PREFIX"/versions/*; do
  name="versions/$(basename "$version")"
  if [ "$name" != "$(readlink "$PREFIX/current")" ] && [ "$name" != "$(readlink "$PREFIX/previous" || true)" ]; then
    rm -rf "$version"
  fi
done
"""

# PYTHON, ADDRESSES ("host:port host:port"). Prints those that take a connection.
REACH = r"""
for address in $ADDRESSES; do
  "$PYTHON" -c 'import socket, sys
host, _, port = sys.argv[1].rpartition(":")
socket.create_connection((host.strip("[]"), int(port)), 5).close()
print(sys.argv[1])' "$address" 2>/dev/null || true
done
"""

# Prints "label LABEL", "device ID" and "joined CONTROLLER", as far as there is any of it.
INSTALLED = r"""
if [ -L "$PREFIX/current" ]; then echo "label $(basename "$(readlink "$PREFIX/current")")"; fi
if [ -f "$STATE/device.json" ]; then
  echo "device $(sed -n 's/.*"device_id": *"\([0-9A-Za-z-]*\)".*/\1/p' "$STATE/device.json")"
fi
for record in "$STATE"/controllers/*/controller.json; do
  if [ -f "$record" ]; then echo "joined $(basename "$(dirname "$record")")"; fi
done
"""

# Folders that the install made go when nothing else lies in them, the deepest first.
REMOVE = (
    _FUNCTIONS
    + r"""
if [ ! -d "$PREFIX" ]; then echo nothing; exit 0; fi
stop_service
if [ -n "$UNIT_PATH" ]; then
  $SYSTEMCTL disable -q "$UNIT" 2>/dev/null || true
  rm -f "$UNIT_PATH"
  $SYSTEMCTL daemon-reload || true
fi
if [ -n "$RULES_PATH" ] && [ -f "$RULES_PATH" ]; then
  rm -f "$RULES_PATH"
  udevadm control --reload 2>/dev/null || true
  for counter in /sys/class/powercap/intel-rapl:*/energy_uj; do
    if [ -e "$counter" ]; then chmod g-r "$counter" || true; chgrp root "$counter" || true; fi
  done
fi
user=$(cat "$PREFIX/made-user" 2>/dev/null || true)
folders=$(sort -r "$PREFIX/made-folders" 2>/dev/null || true)
rm -rf "${STATE:?}" "${PREFIX:?}"
if [ -n "$user" ]; then userdel "$user" || true; fi
printf '%s\n' "$folders" | while IFS= read -r folder; do
  if [ -n "$folder" ]; then rmdir "$folder" 2>/dev/null || true; fi
done
echo removed
"""
)
