"""The suite that `steelyard suite new` writes: commented, and right as it stands."""

from __future__ import annotations

STARTER = """\
# A suite: what a night measures. Check it with: steelyard suite check {file}
# Texts may hold ${{NAME}} or ${{NAME:-default}} of the environment; $$ is a dollar.

[suite]
name = "{name}"
# extends = "base.toml"        # tables merge; models, devices, runtimes and tasks merge by name
at = "02:00"                   # a hint for the timer that starts it
budget = "90m"                 # device time, each device
sentinel = "built-in"          # a frozen model that tells a device's drift from a model's regression

# Where: names, tags and board profiles of the controller's devices (steelyard device list).
[devices]
names = ["local"]
# tags = ["rack1"]
# pools = ["raspberry-pi-5"]

# What: each under a name of yours, by which its series goes on whatever file is behind it.
[[model]]
name = "{model}"
{source}
# recipes = ["static-int8"]    # each made afresh and measured as "{model}/static-int8"; needs a task with calibration
# task = "accuracy"

# [[model]]
# name = "detector"
# registry = "/srv/models/detector"
# newest = "*.onnx"            # the file of the folder that was written last

# By which runtime; without any, the model's file decides.
[[runtime]]
name = "cpu"
threads = 1
# runtime = "onnxruntime"      # or NAME@ENVIRONMENT
# providers = ["CPUExecutionProvider"]

# [[task]]
# name = "accuracy"
# file = "task.toml"

# What counts as worse. These are the defaults of p50; every metric has some.
[metrics.p50]
min_effect = "3%"
min_effect_abs = "0.05ms"

[measure]
min_rounds = 6
max_rounds = 20

[night]
window = "6h"                  # no measurement begins later than this
confirm = true                 # measure last good against current in the same night
confirmation_share = "33%"     # of the budget, kept for that

# [notify.team]
# kind = "webhook"
# url = "${{TEAM_WEBHOOK}}"
"""


def starter_suite(*, name: str, file: str, model: str, source: str) -> str:
    """Return the text of a new suite; ``source`` is the line that says where the model comes from."""
    return STARTER.format(name=name, file=file, model=model, source=source)
