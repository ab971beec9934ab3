"""Real models that ship inside registry packages: which file, which data, and how far its figure can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compression import labelled_tasks, unlabelled_tasks
from benchmarks.compression.labelled_tasks import Arrays
from benchmarks.compression.score_heads import add_onnx_score, add_tflite_score
from benchmarks.compression.task_files import TaskData


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A model file in `models/`, a data file in `data/`, and how the one is a task for the other.

    ``derive`` writes the model that is used in place of the file, given both paths.
    """

    name: str
    model: str
    data: str
    about: str
    task: Callable[[Arrays], TaskData]
    derive: Callable[[Path, Path], None] | None = None


_SPEECH = "Speech in music at 0 dB by windows of 200 ms (a clip's label is each window's): 4 speakers, 137 prompts."
_FACES = (
    "200 faces and backgrounds of 25x25 pixels; the score is the largest anchor's logit, added as an output. Logits "
    "go from -250 to 2, and to -30,000 on a flat picture that is among the calibration rows."
)
_FOREIGN = "Without labels, on inputs that are not from its own front end: only likeness to the original's outputs."

DEFINITIONS = (
    Definition(
        name="digits",
        model="digit_recognizer_cnn.onnx",
        data="digits.npz",
        about="MNIST, near its ceiling and probably part of the model's training data: quantization hardly moves it.",
        task=labelled_tasks.digits,
    ),
    Definition(
        name="efficientnet_lite0",
        model="efficientnet_lite0.onnx",
        data="imagenet20.npz",
        about="A smoke check of 12 pictures: one is eight points. Calibrated on 8 others and their mirror images.",
        task=labelled_tasks.imagenet,
    ),
    Definition(
        name="tiny_resnet8",
        model="mlperftiny_image_classification.onnx",
        data="cifar20.npz",
        about="A smoke check of 12 pictures: one is eight points. Calibrated on 8 others and their mirror images.",
        task=labelled_tasks.cifar,
    ),
    Definition(
        name="tiny_wake_words",
        model="mlperftiny_visual_wake_words.onnx",
        data="imagenet20.npz",
        about="Without labels, on views of 20 pictures: only likeness to the original's outputs.",
        task=unlabelled_tasks.picture_crops,
    ),
    Definition(
        name="tiny_keywords",
        model="mlperftiny_keyword_spotting.onnx",
        data="kws_on_off.npz",
        about=_FOREIGN,
        task=unlabelled_tasks.band_frames,
    ),
    Definition(
        name="tiny_anomaly",
        model="mlperftiny_anomaly_detection.onnx",
        data="vad.npz",
        about=_FOREIGN,
        task=unlabelled_tasks.stacked_frames,
    ),
    Definition(
        name="kws_on_off",
        model="keyword_spotting_on_off_v3.float32.tflite",
        data="kws_on_off.npz",
        about="Synthetic voices; six clips of seven are 'unknown', so that always saying so would score 85.7 %.",
        task=labelled_tasks.key_words,
    ),
    Definition(
        name="vad_teacher",
        model="pulsevad_teacher_81k.onnx",
        data="vad.npz",
        about=_SPEECH,
        task=labelled_tasks.speech,
    ),
    Definition(name="vad_small", model="pulsevad_2.1k.onnx", data="vad.npz", about=_SPEECH, task=labelled_tasks.speech),
    Definition(
        name="faces",
        model="face_detection_front_128x128_barracuda.onnx",
        data="faces.npz",
        about=_FACES,
        task=labelled_tasks.faces,
        derive=add_onnx_score,
    ),
    Definition(
        name="faces_tflite",
        model="face_detection_short_range.tflite",
        data="faces.npz",
        about=f"{_FACES} Its float16 weights were unpacked to float32.",
        task=labelled_tasks.faces,
        derive=add_tflite_score,
    ),
    Definition(
        name="textline",
        model="ch_ppocr_mobile_v2.0_cls_infer.onnx",
        data="textline_0_180.npz",
        about="Text lines rendered for the project, not photographed.",
        task=labelled_tasks.text_lines,
    ),
    Definition(
        name="magika",
        model="magika_standard_v3_3.onnx",
        data="magika.npz",
        about="Real files of 33 of 214 types; the label is the file's ending, and errors between text types are many.",
        task=labelled_tasks.magika,
    ),
    Definition(
        name="resemblyzer",
        model="resemblyzer_lstm.onnx",
        data="kws_on_off.npz",
        about=_FOREIGN,
        task=unlabelled_tasks.speaker_frames,
    ),
)

UNFIT = {
    "silero": (
        "its file takes waves, a state whose second axis is the batch, and a sampling rate without a batch: "
        "a task feeds samples along the first axis, and the data holds spectra"
    )
}
"""Models that have no task here, by name, with the reason."""
