"""The peer of quantization-aware training: torchao's own flow with its stock quantizer, written by torch.onnx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.compress.evaluation import EvaluationSet

OPSET = 21


def train_with_torchao(
    source: Path,
    training: EvaluationSet,
    seed: int,
    target: Path,
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int,
) -> None:
    """Write ``source`` after training with rounding in it, as torchao's tutorial on pt2e goes.

    `prepare_qat_pt2e` with `X86InductorQuantizer` in its default configuration for QAT, AdamW and cross-entropy on the
    labels, `convert_pt2e`, then `torch.onnx.export(dynamo=True)` at opset 21 as the operators need it.
    """
    import torch
    from torch import nn

    from steelyard.train.export.example import interface_of
    from steelyard.train.export.onnx_program import convert
    from steelyard.train.export.program import trace
    from steelyard.train.export.quiet import quiet_exporters
    from steelyard.train.lift import lift_checked
    from steelyard.train.qat.torchao_import import need_torchao

    need_torchao()
    torch.manual_seed(seed)
    lifted = lift_checked(source)
    interface = interface_of(lifted)
    with quiet_exporters():
        module = _prepared(trace(lifted.module.eval(), interface).module(check_guards=False))
        optimizer = torch.optim.AdamW(module.parameters(), lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (training.sample_count // batch_size))
        for images, labels in _batches(training, seed, epochs=epochs, batch_size=batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(images), labels).backward()
            optimizer.step()
            schedule.step()
        convert(trace(_converted(module), interface), interface, target, opset=OPSET)


def _prepared(module: Any) -> Any:
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer

    quantizer = x86_inductor_quantizer.X86InductorQuantizer()
    quantizer.set_global(x86_inductor_quantizer.get_default_x86_inductor_quantization_config(is_qat=True))
    return prepare_qat_pt2e(module, quantizer)


def _converted(module: Any) -> Any:
    import torchao
    from torchao.quantization.pt2e import disable_observer
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    module.apply(disable_observer)
    torchao.quantization.pt2e.move_exported_model_to_eval(module)
    return convert_pt2e(module)


def _batches(training: EvaluationSet, seed: int, *, epochs: int, batch_size: int) -> Iterator[tuple[Any, Any]]:
    import torch

    (name,) = training.data.inputs
    images = training.data.feed(0, training.sample_count)[name]
    labels = np.asarray(training.truth["labels"])
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            yield torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen])
