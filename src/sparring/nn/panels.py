"""Pictures beside one another, for a person to compare."""

import colorsys

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def panels(given: Tensor, made: Tensor, truth: Tensor | None = None) -> Tensor:
    """``(n, c, h, w)`` each, side by side in this order and with ``made``'s size and channels: ``(n, c, h, 3 * w)``.

    Pixels are repeated, not smoothed, so that what a network was given is seen as it is. Without truth, none or
    an empty ``(n, 0)`` tensor, the other two are shown.
    """
    channels, *size = made.shape[1:]
    shown = (given, made) if truth is None or truth.ndim != 4 else (given, made, truth)
    alike = [in_channels(picture.detach().float(), channels) for picture in shown]
    return torch.cat([interpolate(picture, size, mode="nearest") for picture in alike], 3)


def in_channels(picture: Tensor, channels: int) -> Tensor:
    """``(n, c, h, w)`` in [-1, 1] with so many channels: grey is repeated, alpha is laid over middle grey, label maps
    of more than four channels get a colour for each.
    """
    own = picture.shape[1]
    if own == channels:
        return picture
    if own in (2, 4):
        return in_channels(picture[:, :-1] * (picture[:, -1:] + 1) / 2, channels)
    if own > 4:
        hues = [colorsys.hsv_to_rgb(place / own, 0.8, 0.9) for place in range(own)]
        palette = torch.tensor(hues, dtype=picture.dtype, device=picture.device) * 2 - 1
        return in_channels(palette[picture.argmax(1)].movedim(3, 1), channels)
    if own == 3:
        return in_channels(picture.mean(1, keepdim=True), channels)
    opaque = torch.ones_like(picture)
    return torch.cat([picture.expand(-1, channels - (channels in (2, 4)), -1, -1), opaque], 1)[:, :channels]
