"""A small anchor-free detector: one level of places, a box and class scores each; needs torch."""

from __future__ import annotations

import torch
from torch import nn

STRIDE = 8
_CHANNELS = (16, 32, 64)


class SmallDetector(nn.Module):
    """Convolutions down to a stride of 8, then a head of 4 distances and C class scores a place (Tian et al. 2019).

    ``forward`` gives raw maps for training; ``ExportedDetector`` gives what a YOLO head gives.
    """

    def __init__(self, class_count: int) -> None:
        """Build the network for images [N,1,S,S], S a multiple of 8."""
        super().__init__()
        first, second, third = _CHANNELS
        self.backbone = nn.Sequential(
            *_conv_bn(1, first, stride=2),
            *_conv_bn(first, second, stride=2),
            *_conv_bn(second, second),
            *_conv_bn(second, third, stride=2),
            *_conv_bn(third, third),
            *_conv_bn(third, third),
            *_conv_bn(third, third),
        )
        self.distances = nn.Conv2d(third, 4, 1)
        self.scores = nn.Conv2d(third, class_count, 1)
        # Places without an object are by far the most: start from a share of 1 % (Lin et al. 2017, section 4.1).
        nn.init.constant_(self.scores.bias, -4.6)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map [N,1,S,S] to distances [N,A,4] in strides (left, top, right, bottom, above 0) and logits [N,A,C]."""
        features = self.backbone(image)
        distances = nn.functional.softplus(self.distances(features)).flatten(2).transpose(1, 2)
        return distances, self.scores(features).flatten(2).transpose(1, 2)


class ExportedDetector(nn.Module):
    """The detector as it is exported: [N, 4 + C, A], centre, width and height as shares of the image, probabilities.

    Boxes as shares lie in the range of the scores, so that one quantization scale serves both.
    """

    places: torch.Tensor

    def __init__(self, detector: SmallDetector, image_size: int) -> None:
        """Wrap a trained network for square images of ``image_size`` pixels."""
        super().__init__()
        self.detector = detector
        self.shares_a_stride = STRIDE / image_size
        self.register_buffer("places", place_centres(image_size) / image_size)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map [N,1,S,S] to [N, 4 + C, A]."""
        distances, logits = self.detector(image)
        distances = distances * self.shares_a_stride
        before, after = distances[..., :2], distances[..., 2:]
        centres = self.places + (after - before) / 2
        return torch.cat((centres, before + after, torch.sigmoid(logits)), dim=2).transpose(1, 2)


def place_centres(image_size: int) -> torch.Tensor:
    """Return the centres (x, y) in pixels of all places, row by row, float32 [A, 2]."""
    steps = torch.arange(STRIDE / 2, image_size, STRIDE)
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack((columns, rows), dim=-1).reshape(-1, 2)


def detection_loss(
    distances: torch.Tensor, logits: torch.Tensor, target_distances: torch.Tensor, target_classes: torch.Tensor
) -> torch.Tensor:
    """Return the focal loss of scores (Lin et al. 2017) plus 1 - GIoU of boxes (Rezatofighi et al. 2019), an object.

    Args:
        distances: in strides, [N,A,4].
        logits: [N,A,C].
        target_distances: in strides, [N,A,4]; read where there is an object.
        target_classes: int64 [N,A], -1 without an object.
    """
    has_object = target_classes >= 0
    object_count = has_object.sum().clamp(min=1)
    wanted = nn.functional.one_hot(target_classes.clamp(min=0), logits.shape[2]) * has_object[..., None]
    wanted = wanted.to(logits.dtype)
    share = torch.sigmoid(logits)
    missed = wanted * (1 - share) + (1 - wanted) * share
    balance = wanted * 0.25 + (1 - wanted) * 0.75
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    score_loss = (balance * missed.square() * entropy).sum() / object_count
    found, true = distances[has_object], target_distances[has_object]
    shared = _area(torch.minimum(found, true))
    union = _area(found) + _area(true) - shared
    around = _area(torch.maximum(found, true))
    return score_loss + (1 - shared / union + (around - union) / around).sum() / object_count


def _area(distances: torch.Tensor) -> torch.Tensor:
    """Return the area of boxes around one place, given by their distances from it."""
    return (distances[..., 0] + distances[..., 2]) * (distances[..., 1] + distances[..., 3])


def _conv_bn(in_channels: int, out_channels: int, *, stride: int = 1) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
