"""Write TFLite files of ONNX models as the product does: arguments are pairs of a model and the file to write."""

import sys
from pathlib import Path

from steelyard.train.export.example import interface_of
from steelyard.train.export.tflite_file import export_tflite
from steelyard.train.lift import lift_checked

for source, target in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    lifted = lift_checked(Path(source))
    made = export_tflite(lifted.module, interface_of(lifted), Path(target))
    print(f"{target}: {made.difference:.1e} away from the module")
