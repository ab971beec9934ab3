"""Codes of few bits as ONNX stores them: nibbles, blocks of MatMulNBits, typed tensors of DequantizeLinear. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.weights.grid import QuantizedMatrix

Bytes = NDArray[np.uint8]
# Blocks that the kernels of MatMulNBits take (16, too, which is not worth a scale); of equal sizes the longest.
_BLOCKS = (256, 128, 64, 32)
_SCALE_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NBits:
    """The constant inputs of MatMulNBits for a matrix [N outputs, K inputs].

    ``packed`` [N, blocks, block_size * bits / 8]; ``scales`` float32 [N, blocks]; ``zero_points`` [N, bytes], None for
    symmetric grids, whose zero is the middle code.
    """

    block_size: int
    packed: Bytes
    scales: NDArray[np.float32]
    zero_points: Bytes | None


def pack_nbits(matrix: QuantizedMatrix) -> NBits:
    """Pack a matrix for MatMulNBits; one scale an output is repeated for every block, which kernels need."""
    shape = matrix.shape
    output_count, input_count = matrix.codes.shape
    scales, zero_points = matrix.scales, matrix.zero_points
    block_size = shape.block_size or _channel_block(input_count, shape.bits)
    block_count = -(-input_count // block_size)
    if not shape.block_size:
        scales, zero_points = np.repeat(scales, block_count, axis=1), np.repeat(zero_points, block_count, axis=1)
    # What stands behind the last input stands for zero.
    padding = block_count * block_size - input_count
    tail = np.repeat(zero_points[:, -1:], padding, axis=1)
    codes = np.concatenate([matrix.codes, tail], axis=1)
    return NBits(
        block_size=block_size,
        packed=_packed_rows(codes, shape.bits).reshape(output_count, block_count, -1),
        scales=np.ascontiguousarray(scales),
        zero_points=None if shape.symmetric else _packed_rows(zero_points, shape.bits),
    )


def pack_nibbles(codes: NDArray[np.integer]) -> bytes:
    """Pack 4-bit codes, signed or not, two a byte in their order, the first in the low half (ONNX's INT4, UINT4)."""
    flat = codes.reshape(-1).astype(np.uint8) & 0x0F
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    return bytes((flat[0::2] | (flat[1::2] << 4)).astype(np.uint8))


def _channel_block(input_count: int, bits: int) -> int:
    """Return the block with which an output takes the fewest bytes, when all blocks have the same scale."""

    def byte_count(block: int) -> int:
        return -(-input_count // block) * (block * bits // 8 + _SCALE_BYTES)

    return min(_BLOCKS, key=byte_count)


def _packed_rows(codes: Bytes, bits: int) -> Bytes:
    """Pack each row on its own, the last byte filled with the middle code where a half is left over."""
    if bits == 8:
        return np.ascontiguousarray(codes)
    if codes.shape[1] % 2:
        codes = np.concatenate([codes, np.full((codes.shape[0], 1), 8, np.uint8)], axis=1)
    return np.ascontiguousarray(codes[:, 0::2] | (codes[:, 1::2] << 4))
