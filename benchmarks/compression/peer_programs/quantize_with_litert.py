"""litert-quantizer alone: its recipe of static int8, its own calibration."""

from litert_quantizer import quantizer, recipe
from samples import feeds, read_request

request = read_request()
made = quantizer.Quantizer(request["model"], recipe.static_wi8_ai8())
(signature,) = made.get_signatures() if hasattr(made, "get_signatures") else ("serving_default",)
measured = made.calibrate({signature: feeds(request["samples"])})
made.quantize(measured).export_model(request["out"], overwrite=True)
