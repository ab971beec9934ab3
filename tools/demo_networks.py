"""The two small image classifiers of the demo: input float32 [N,1,28,28], output ten logits [N,10]."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

CLASS_COUNT = 10


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2015, figure 2), which is a 1x1 where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        """Build the block; `stride` halves the image at the first convolution."""
        super().__init__()
        self.body = nn.Sequential(
            *_conv_bn(in_channels, out_channels, kernel=3, stride=stride),
            nn.ReLU(),
            *_conv_bn(out_channels, out_channels, kernel=3),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(*_conv_bn(in_channels, out_channels, kernel=1, stride=stride))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map [N,in,H,W] to [N,out,H/stride,W/stride]."""
        total: torch.Tensor = self.body(image) + self.shortcut(image)
        return nn.functional.relu(total)


class InvertedResidual(nn.Module):
    """Expand, depthwise 3x3, project (Sandler et al. 2018, figure 4b), with an add where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        """Build the block with `expansion` times the input's channels in the middle."""
        super().__init__()
        hidden = in_channels * expansion
        self.is_residual = stride == 1 and in_channels == out_channels
        self.body = nn.Sequential(
            *_conv_bn(in_channels, hidden, kernel=1),
            nn.ReLU6(),
            *_conv_bn(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.ReLU6(),
            *_conv_bn(hidden, out_channels, kernel=1),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map [N,in,H,W] to [N,out,H/stride,W/stride]."""
        projected: torch.Tensor = self.body(image)
        return image + projected if self.is_residual else projected


class GlobalAverage(nn.Module):
    """Mean over height and width."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map [N,C,H,W] to [N,C]; exported as one ReduceMean, where AdaptiveAvgPool2d brings a Reshape along."""
        return image.mean(dim=(2, 3))


def fashion_resnet() -> nn.Module:
    """Return the untrained residual network."""
    return nn.Sequential(
        *_conv_bn(1, 24, kernel=3),
        nn.ReLU(),
        ResidualBlock(24, 24, stride=1),
        ResidualBlock(24, 24, stride=1),
        ResidualBlock(24, 48, stride=2),
        ResidualBlock(48, 96, stride=2),
        ResidualBlock(96, 96, stride=1),
        GlobalAverage(),
        nn.Linear(96, CLASS_COUNT),
    )


def fashion_mobilenet() -> nn.Module:
    """Return the untrained depthwise-separable network."""
    return nn.Sequential(
        *_conv_bn(1, 16, kernel=3),
        nn.ReLU6(),
        InvertedResidual(16, 16, stride=1, expansion=1),
        InvertedResidual(16, 32, stride=2, expansion=4),
        InvertedResidual(32, 32, stride=1, expansion=4),
        InvertedResidual(32, 32, stride=1, expansion=4),
        InvertedResidual(32, 64, stride=2, expansion=4),
        InvertedResidual(64, 64, stride=1, expansion=4),
        InvertedResidual(64, 64, stride=1, expansion=4),
        InvertedResidual(64, 96, stride=1, expansion=4),
        *_conv_bn(96, 320, kernel=1),
        nn.ReLU6(),
        GlobalAverage(),
        nn.Linear(320, CLASS_COUNT),
    )


def parameter_count(model: nn.Module) -> int:
    """Count the trainable values, BatchNorm's scales and shifts included."""
    return sum(parameter.numel() for parameter in model.parameters())


def multiply_accumulates(model: nn.Module) -> int:
    """Count the multiply-accumulates of the convolutions and linear layers for one image."""
    total = 0

    def add(module: nn.Module, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        weight = module.get_parameter("weight")
        total += weight[0].numel() * output[0].numel()

    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    was_training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, 1, 28, 28))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return total


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "fashion_resnet": fashion_resnet,
    "fashion_mobilenet": fashion_mobilenet,
}


def _conv_bn(
    in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(
        in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return convolution, nn.BatchNorm2d(out_channels)
