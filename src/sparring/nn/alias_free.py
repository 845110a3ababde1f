"""The alias-free generator: pictures as band-limited signals on a plane (Karras et al. 2021).

Frequencies are in cycles a picture side, rates in samples a picture side, sizes in samples. All canvases are square and
reach a margin beyond the picture, so that borders give no hint of place.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from sparring.core.precision import full_precision
from sparring.core.rewritten import Rewritten
from sparring.nn.convolution import convolve
from sparring.nn.equalised import EqualisedLinear
from sparring.nn.fir import filter_down, filter_up
from sparring.nn.low_pass import low_pass, radial_low_pass

MARGIN = 10
CRITICAL = 2  # the last layers are critically sampled: they end at half the rate, for sharpness (sec. 3.2)


@dataclass(frozen=True)
class Band:
    """What a layer's signal may hold: all below ``cutoff``, nothing from ``stop`` on."""

    cutoff: float
    stop: float
    rate: int
    size: int
    channels: int

    @property
    def half_width(self) -> float:
        """From the cutoff to where the filter stops."""
        return max(self.stop, self.rate / 2) - self.cutoff


def bands(side: int, layers: int, base: int, most: int, channels: int) -> list[Band]:
    """The bands of ``layers + 1`` layers, the last one being RGB (appendix C.1).

    Args:
        side: of the picture, a power of two.
        layers: 3 or more; the paper has 14.
        base, most: channels are ``base / 2`` over the cutoff, at most ``most``.
        channels: of the picture.
    """
    last_cutoff, first_cutoff = side / 2, 2.0
    first_stop, last_stop = 2**2.1, last_cutoff * 2**0.3
    found = []
    for index in range(layers + 1):
        share = min(index / (layers - CRITICAL), 1.0)
        cutoff = first_cutoff * (last_cutoff / first_cutoff) ** share
        stop = first_stop * (last_stop / first_stop) ** share
        rate = 2 ** math.ceil(math.log2(min(2 * stop, side)))
        size = side if index >= layers - 1 else rate + 2 * MARGIN
        width = max(1, round(min(base / 2 / cutoff, most)))
        found.append(Band(cutoff, stop, rate, size, channels if index == layers else width))
    return found


class FourierInput(nn.Module):
    """Waves of random frequency within a disc, moved and turned as the style says (sec. 3.2).

    Args:
        band: of what it makes.
        w_dim: size of a style.

    ``transform`` is a buffer ``(3, 3)`` that moves and turns what is drawn: the identity but for who measures or plays.
    """

    def __init__(self, band: Band, w_dim: int):
        super().__init__()
        self.band = band
        frequencies = torch.randn(band.channels, 2)
        radius = frequencies.norm(dim=1, keepdim=True)
        # A normal vector of length r stretched to exp(-r^2 / 4): uniform in the disc, nearly.
        frequencies = frequencies / (radius * radius.square().exp() ** 0.25) * band.cutoff
        self.frequencies: Tensor
        self.phases: Tensor
        self.transform: Tensor
        self.register_buffer("frequencies", frequencies)
        self.register_buffer("phases", torch.rand(band.channels) - 0.5)
        self.register_buffer("transform", torch.eye(3))
        self.weight = nn.Parameter(torch.randn(band.channels, band.channels))
        self.affine = EqualisedLinear(w_dim, 4)  # cosine, sine, right, down
        nn.init.zeros_(self.affine.weight)
        self.register_buffer("still", torch.tensor([1.0, 0, 0, 0]), persistent=False)
        self.still: Tensor

    def forward(self, w: Tensor) -> Tensor:
        """``(n, w_dim)`` to ``(n, channels, size, size)``."""
        band = self.band
        with full_precision(w):
            moves = self.affine(w.to(self.weight.dtype)) + self.still
            moves = moves / moves[:, :2].norm(dim=1, keepdim=True)
            c, s, right, down = moves.unbind(1)
            one, zero = torch.ones_like(c), torch.zeros_like(c)
            turn = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], 1).reshape(-1, 3, 3)
            shift = torch.stack([one, zero, -right, zero, one, -down, zero, zero, one], 1).reshape(-1, 3, 3)
            motion = turn @ shift @ self.transform  # inverse: of places, not of the picture
            phases = self.phases + (self.frequencies @ motion[:, :2, 2:]).squeeze(2)
            frequencies = self.frequencies @ motion[:, :2, :2]  # (n, channels, 2)
            # A turn or stretch may lead out of the band: fade such waves out before they alias.
            excess = (frequencies.norm(dim=2) - band.cutoff) / (band.rate / 2 - band.cutoff)
            place = (torch.arange(band.size, device=w.device, dtype=w.dtype) + 0.5 - band.size / 2) / band.rate
            waves = (
                frequencies[:, :, 0, None, None] * place[None, None, None, :]
                + frequencies[:, :, 1, None, None] * place[None, None, :, None]
                + phases[:, :, None, None]
            )
            waves = (2 * math.pi * waves).sin() * (1 - excess).clamp(0, 1)[:, :, None, None]
            return torch.einsum("oc,nchw->nohw", self.weight / math.sqrt(band.channels), waves)


class AliasFreeLayer(Rewritten, nn.Module):
    """Modulated convolution, then a leaky ReLU that adds no frequency beyond its band (sec. 3.1).

    Args:
        before, band: of what it takes and makes.
        w_dim: size of a style.
        kernel: side of the convolution; 1 turns with its picture.
        critical: whether it is critically sampled.
        rgb: whether it is the last one, linear and without filters.
        radial: whether its downsampling filter is alike in all directions.
    """

    def __init__(self, before: Band, band: Band, w_dim: int, kernel: int, critical: bool, rgb: bool, radial: bool):
        super().__init__()
        self.rgb, self.demodulate = rgb, not rgb
        self.affine = EqualisedLinear(w_dim, before.channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(band.channels, before.channels, kernel, kernel))
        self.scale = 1 / math.sqrt(before.channels * kernel**2)
        self.bias = nn.Parameter(torch.zeros(band.channels))
        self.magnitude: Tensor
        self.register_buffer("magnitude", torch.ones(()))
        rate = max(before.rate, band.rate) * (1 if rgb else 2)
        self.up, self.down = rate // before.rate, rate // band.rate
        up_taps, down_taps = (1 if rgb else 6 * self.up), (1 if rgb or self.down == 1 else 6 * self.down)
        total = (band.size - 1) * self.down + 1 - (before.size + kernel - 1) * self.up + up_taps + down_taps - 2
        low = (total + self.up) // 2
        # Of the whole filtered signal, zeros included, keep what makes the next canvas.
        self.frame = (low - (up_taps - 1), total - low - (up_taps - self.up))
        self.up_kernel: Tensor
        self.down_kernel: Tensor
        if not rgb:
            line = low_pass(up_taps, before.cutoff, before.half_width, rate)
            self.register_buffer("up_kernel", self.up * line, persistent=False)
            design = radial_low_pass if radial and not critical else low_pass
            kernel_down = design(down_taps, band.cutoff, band.half_width, rate)
            self.register_buffer("down_kernel", kernel_down, persistent=False)

    def forward(self, x: Tensor, w: Tensor, observe: bool) -> Tensor:
        """``(n, before.channels, before.size, ...)`` and ``(n, w_dim)`` to ``(n, band.channels, band.size, ...)``.

        With ``observe``, the moving average of the input's mean square moves; the input is divided by its root.
        """
        if observe:
            with torch.no_grad():
                self.magnitude.lerp_(x.detach().to(self.magnitude.dtype).square().mean(), 0.001)
        style = self.affine(w).to(self.weight.dtype)
        weight = self.weight * self.scale
        x = x * (style * self.magnitude.rsqrt())[:, :, None, None].to(x.dtype)
        edge = weight.shape[-1] - 1
        x = convolve(x, weight, padding=(edge, edge), reference=self.reference)
        if self.rgb:
            return pad(x, (*self.frame, *self.frame)).to(self.bias.dtype) + self.bias[:, None, None]
        with full_precision(style):
            if self.reference:
                energy = (weight * style[:, None, :, None, None]).square().sum((2, 3, 4))
            else:
                energy = style.square() @ weight.square().sum((2, 3)).T
            demodulation = (energy + 1e-8).rsqrt()
        x = x * demodulation[:, :, None, None].to(x.dtype) + self.bias[:, None, None].to(x.dtype)
        x = filter_up(x, self.up_kernel[:, None], (self.up, 1), reference=self.reference)
        x = filter_up(x, self.up_kernel[None, :], (1, self.up), reference=self.reference)
        x = leaky_relu(pad(x, (*self.frame, *self.frame)), 0.2) * math.sqrt(2)
        if self.down_kernel.dim() == 2:
            return filter_down(x, self.down_kernel, (self.down, self.down), reference=self.reference)
        x = filter_down(x, self.down_kernel[:, None], (self.down, 1), reference=self.reference)
        return filter_down(x, self.down_kernel[None, :], (1, self.down), reference=self.reference)


class AliasFreeSynthesis(nn.Module):
    """Styles to a picture, the middle of a square canvas whose side is a power of two.

    Args:
        shape: of a picture ``(channels, height, width)``.
        w_dim: size of a style.
        layers: how many, RGB not counted.
        base, most: channels, see `bands`.
        rotation: kernels of 1x1 and radial filters, so that the picture turns as its waves do; else 3x3.
    """

    def __init__(self, shape: tuple[int, ...], w_dim: int, layers: int, base: int, most: int, rotation: bool):
        super().__init__()
        if layers < CRITICAL + 1:
            raise ValueError(f"an alias-free generator has {CRITICAL + 1} layers or more, got {layers}")
        channels, self.height, self.width = shape
        side = 2 ** math.ceil(math.log2(max(self.height, self.width)))
        plan = bands(side, layers, base, most, channels)
        self.styles = layers + 2  # one for the waves, one a layer, one for RGB
        self.input = FourierInput(plan[0], w_dim)
        self.layers = nn.ModuleList(
            AliasFreeLayer(
                plan[max(index - 1, 0)],
                plan[index],
                w_dim,
                kernel=1 if rotation or index == layers else 3,
                critical=index >= layers - CRITICAL,
                rgb=index == layers,
                radial=rotation,
            )
            for index in range(layers + 1)
        )

    def forward(self, styles: Tensor, observe: bool = False) -> Tensor:
        """``(n, styles, w_dim)`` to ``(n, *shape)``, unbounded."""
        x = self.input(styles[:, 0])
        for index, layer in enumerate(self.layers):
            x = layer(x, styles[:, index + 1], observe)
        top, left = (x.shape[2] - self.height) // 2, (x.shape[3] - self.width) // 2
        return 0.25 * x[:, :, top : top + self.height, left : left + self.width]
