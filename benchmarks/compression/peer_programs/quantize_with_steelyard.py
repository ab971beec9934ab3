"""One of our recipes, as `steelyard compress` runs it in its process; scores no step."""

from pathlib import Path

from samples import read_request

from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.run import compress

request = read_request()
settings = request["settings"]
out = Path(request["out"])
made = compress(
    Path(request["model"]),
    load_recipe(settings["recipe"]),
    calibration=Path(request["packed"]),
    seed=0,
    processor_features=settings["processor_features"],
    out_dir=out.parent / f"{out.stem}.made",
)
made.path.replace(out)
