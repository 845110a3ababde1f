"""Designing low-pass filters by Kaiser's method (Karras et al. 2021, appendix C)."""

import math

import torch
from torch import Tensor


def attenuation(taps: int, width: float) -> float:
    """What a Kaiser filter of so many taps holds back, in dB; ``width`` of its transition, 1 being half the rate."""
    return 2.285 * (taps - 1) * math.pi * width + 7.95


def kaiser_beta(decibels: float) -> float:
    """The window's shape for an attenuation (Kaiser 1974)."""
    if decibels > 50:
        return 0.1102 * (decibels - 8.7)
    return 0.5842 * (decibels - 21) ** 0.4 + 0.07886 * (decibels - 21) if decibels > 21 else 0.0


def low_pass(taps: int, cutoff: float, half_width: float, rate: float) -> Tensor:
    """A one-dimensional low-pass filter ``(taps,)`` of sum 1.

    Args:
        taps: its length.
        cutoff: the frequency at which half of the amplitude is left.
        half_width: from there to where it stops, and from where it begins to fall.
        rate: samples a unit of length, in which the frequencies are given.
    """
    place = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    line = torch.sinc(2 * cutoff / rate * place) * _window(taps, half_width, rate)
    return (line / line.sum()).to(torch.get_default_dtype())


def radial_low_pass(taps: int, cutoff: float, half_width: float, rate: float) -> Tensor:
    """The same in the plane, ``(taps, taps)`` of sum 1, alike in all directions: a jinc in place of a sinc."""
    place = (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / rate
    radius = torch.hypot(place[:, None], place[None, :])
    safe = radius.clamp(min=1e-9)  # an odd number of taps has one at 0
    plane = torch.special.bessel_j1(2 * cutoff * math.pi * safe) / (math.pi * safe)  # towards the middle: cutoff
    window = _window(taps, half_width, rate)
    plane = plane * torch.outer(window, window)
    return (plane / plane.sum()).to(torch.get_default_dtype())


def _window(taps: int, half_width: float, rate: float) -> Tensor:
    beta = kaiser_beta(attenuation(taps, 2 * half_width / (rate / 2)))
    return torch.kaiser_window(taps, periodic=False, beta=beta, dtype=torch.float64)
