"""Holes to fill: boxes, and strokes of a brush (Yu et al. 2019, sec. 3.3), as masks ``(n, 1, h, w)`` of 0 and 1."""

import math

import torch
from torch import Tensor

STROKES, VERTICES = 4, 6
NUMBERS = 4 + STROKES * (4 + 2 * VERTICES)  # uniform random numbers that a mask takes


def boxes(uniform: Tensor, height: int, width: int) -> Tensor:
    """One box each, of a quarter to a half of each side.

    Args:
        uniform: ``(n, 4)`` in [0, 1): its height, width and place.
    """
    down, right = torch.arange(height, device=uniform.device), torch.arange(width, device=uniform.device)
    spans = []
    for axis, side, line in ((0, height, down), (1, width, right)):
        length = ((0.25 + 0.25 * uniform[:, axis]) * side).ceil()
        first = (uniform[:, 2 + axis] * (side - length + 1)).floor()
        spans.append((line >= first[:, None]) & (line < (first + length)[:, None]))
    return (spans[0][:, None, :, None] & spans[1][:, None, None, :]).to(uniform.dtype)


def strokes(uniform: Tensor, height: int, width: int) -> Tensor:
    """One to four strokes each, of up to five segments with round ends.

    Args:
        uniform: ``(n, strokes, 4 + 2 * VERTICES)`` in [0, 1): whether there is a second, third, fourth; how wide; where
            it begins; then an angle and a length for each segment.
    """
    side = min(height, width)
    n, count = uniform.shape[:2]
    thickness = (0.05 + 0.10 * uniform[:, :, 1]) * side
    point = uniform[:, :, 2:4] * torch.tensor([height, width], device=uniform.device)
    y = torch.arange(height, device=uniform.device)[:, None] + 0.5
    x = torch.arange(width, device=uniform.device)[None, :] + 0.5
    drawn = (uniform[:, :, 0] < 0.5) | (torch.arange(count, device=uniform.device) == 0)
    hole = torch.zeros(n, height, width, dtype=torch.bool, device=uniform.device)
    angle = torch.zeros(n, count, device=uniform.device)
    for vertex in range(VERTICES - 1):
        turn, length = uniform[:, :, 4 + 2 * vertex], (0.1 + 0.25 * uniform[:, :, 5 + 2 * vertex]) * side
        angle = turn * 2 * math.pi if vertex == 0 else angle + (turn - 0.5) * math.pi
        step = torch.stack([angle.sin(), angle.cos()], 2) * length[:, :, None]
        # Distance of every pixel to the segment from `point` to `point + step`.
        dy, dx = y - point[..., 0, None, None], x - point[..., 1, None, None]
        along = (dy * step[..., 0, None, None] + dx * step[..., 1, None, None]) / length.square()[..., None, None]
        along = along.clamp(0, 1)
        off = (dy - along * step[..., 0, None, None]).square() + (dx - along * step[..., 1, None, None]).square()
        near = off <= (thickness / 2).square()[..., None, None]
        hole |= (near & drawn[..., None, None]).any(1)
        point = point + step
    return hole[:, None].to(uniform.dtype)


def random_holes(uniform: Tensor, height: int, width: int, kind: str) -> Tensor:
    """``box``, ``stroke`` or ``both``, the union; of ``(n, NUMBERS)`` uniform numbers."""
    box = boxes(uniform[:, :4], height, width)
    if kind == "box":
        return box
    brush = strokes(uniform[:, 4:].unflatten(1, (STROKES, 4 + 2 * VERTICES)), height, width)
    return brush if kind == "stroke" else torch.maximum(box, brush)
