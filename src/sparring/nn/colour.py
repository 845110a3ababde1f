"""sRGB and CIE L*a*b* under D65 (IEC 61966-2-1; CIE 1976): lightness apart from colour.

Pictures are in [-1, 1], encoded as files are; L runs from 0 to 100, a within -87..99 and b within -108..95 for what
sRGB holds. White is (100, 0, 0), red (53.24, 80.09, 67.20).
"""

import torch
from torch import Tensor

# Rows make X, Y and Z of linear red, green and blue.
XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
BEND = 6 / 29  # below its cube CIE's root is a line


def to_lab(images: Tensor) -> Tensor:
    """``(n, 3, h, w)`` in [-1, 1] to L, a, b."""
    linear = _linear((images + 1) / 2)
    x, y, z = _root(_mix(linear, _matrix(images))).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def from_lab(lab: Tensor) -> Tensor:
    """L, a, b to ``(n, 3, h, w)`` in [-1, 1]; what sRGB cannot show is clipped."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    xyz = _cube(torch.stack([y + a / 500, y, y - b / 200], 1))
    return _encoded(_mix(xyz, torch.linalg.inv(_matrix(lab).double()).to(lab))) * 2 - 1


def lightness(images: Tensor) -> Tensor:
    """L ``(n, 1, h, w)`` of grey or colour pictures."""
    if images.shape[1] == 3:
        return to_lab(images)[:, :1]
    return 116 * _root(_linear((images + 1) / 2)) - 16


def grey(light: Tensor) -> Tensor:
    """L ``(n, 1, h, w)`` to the grey picture that has it, in [-1, 1]."""
    return _encoded(_cube((light + 16) / 116)) * 2 - 1


def _matrix(like: Tensor) -> Tensor:
    """XYZ relative to the white that the rows sum to, so that greys have a = b = 0."""
    rows = torch.tensor(XYZ, dtype=torch.float64)
    return (rows / rows.sum(1, keepdim=True)).to(like)


def _mix(planes: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix, planes)


def _linear(encoded: Tensor) -> Tensor:
    encoded = encoded.clamp(0, 1)
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _encoded(linear: Tensor) -> Tensor:
    linear = linear.clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=1e-8) ** (1 / 2.4) - 0.055)


def _root(t: Tensor) -> Tensor:
    return torch.where(t > BEND**3, t.clamp(min=1e-8) ** (1 / 3), t / (3 * BEND**2) + 4 / 29)


def _cube(t: Tensor) -> Tensor:
    return torch.where(t > BEND, t**3, 3 * BEND**2 * (t - 4 / 29))
