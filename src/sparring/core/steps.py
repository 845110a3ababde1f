"""Series as values, and encoded as networks see them (`core.series`)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.core.rows import Rows, compact, expand, rounded
from sparring.core.rows import decode as rows_of
from sparring.core.series import Series


@dataclass(frozen=True)
class Decoded:
    """Samples as what they mean.

    Attributes:
        values: float64 ``(n, channels, length)``, NaN after the end.
        lengths: steps of each, int64 ``(n,)``.
        attributes: a row a series; of no columns where there are none.
    """

    values: NDArray[np.float64]
    lengths: NDArray[np.int64]
    attributes: Rows


def split(samples: Tensor, series: Series) -> tuple[Tensor, Tensor, Tensor]:
    """Channels ``(n, channels, length)``, which steps there are, bool ``(n, length)``, and encoded attributes
    ``(n, width)``.

    A series has one step at least, and ends where its flag first falls to 0 or below.
    """
    channels = len(series.channels)
    there = torch.ones_like(samples[:, 0], dtype=torch.bool)
    if series.flags:
        there[:, 1:] = (samples[:, channels, 1:] > 0).long().cumprod(1).bool()
    return samples[:, :channels], there, samples[:, channels + series.flags :, 0]


def join(channels: Tensor, there: Tensor, attributes: Tensor, series: Series) -> Tensor:
    """What `split` takes apart, float32 ``(n, rows, length)``; channels are 0 where ``there`` says no."""
    channels = channels.float() * there[:, None]
    length = channels.shape[2]
    flags = (there.float() * 2 - 1)[:, None] if series.flags else channels[:, :0]
    return torch.cat([channels, flags, attributes.float()[:, :, None].expand(-1, -1, length)], dim=1)


def encode(values: NDArray[np.float64], attributes: Tensor, series: Series) -> Tensor:
    """Samples ``(n, rows, length)``.

    Args:
        values: ``(n, channels, length)``, NaN after the end; what lies beyond a channel's range is cut off.
        attributes: compact ones ``(n, ...)`` (`sparring.core.rows.encode`).
    """
    low, high = _ranges(series)
    span = np.where(high > low, high - low, 1.0)
    scaled = np.where(high > low, 2 * (values - low) / span - 1, 0.0)
    there = np.asarray(~np.isnan(values).all(1))
    filled = np.nan_to_num(np.where(there[:, None], scaled, 0.0)).clip(-1, 1)
    encoded = expand(attributes, series.layout) if series.attributes else torch.zeros(len(values), 0)
    return join(torch.from_numpy(filled.astype(np.float32)), torch.from_numpy(there), encoded, series)


def decode(samples: Tensor, series: Series) -> Decoded:
    """Samples ``(n, rows, length)``, soft ones too, as what they mean."""
    channels, there, attributes = (part.detach().cpu() for part in split(samples, series))
    low, high = _ranges(series)
    values = low + (channels.double().numpy().clip(-1, 1) + 1) / 2 * (high - low)
    for number, channel in enumerate(series.channels):
        values[:, number] = rounded(values[:, number], channel.decimals).clip(channel.minimum, channel.maximum)
    values = np.where(there[:, None].numpy(), values, np.nan)
    rows = Rows((), ())
    if series.attributes:
        rows = rows_of(compact(attributes, series.layout), series.layout)
    return Decoded(values, there.sum(1).numpy(), rows)


def _ranges(series: Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minima and maxima, ``(channels, 1)`` each."""
    low, high = (np.array([[getattr(channel, name)] for channel in series.channels]) for name in ("minimum", "maximum"))
    return low, high
