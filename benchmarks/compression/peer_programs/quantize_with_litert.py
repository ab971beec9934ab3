"""litert-quantizer alone: its recipe of static int8 and its own calibration; inputs and outputs stay float."""

from ai_edge_litert.interpreter import Interpreter
from litert_quantizer import quantizer, recipe
from litert_quantizer.qtyping import TFLOperationName
from litert_quantizer.quantizer import AlgorithmName
from samples import feeds, read_request

request = read_request()
((signature, ends),) = Interpreter(model_path=request["model"]).get_signature_list().items()
# The samples are named as the tensors of the model are; a signature has names of its own.
named = [dict(zip(ends["inputs"], feed.values(), strict=True)) for feed in feeds(request["samples"])]
made = quantizer.Quantizer(request["model"], recipe.static_wi8_ai8())
for kept in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
    made.update_quantization_recipe(".*", kept, algorithm_key=AlgorithmName.NO_QUANTIZE)
measured = made.calibrate({signature: named})
made.quantize(measured).export_model(request["out"], overwrite=True)
