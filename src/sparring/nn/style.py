"""Style-based generators: mapping, modulated convolutions, skip generator (Karras et al. 2019, 2020)."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, one_hot

from sparring.core.precision import full_precision
from sparring.core.rewritten import Rewritten
from sparring.nn.convolution import convolve, convolve_transposed
from sparring.nn.equalised import GAIN, EqualisedLinear, leaky, pixel_norm
from sparring.nn.fir import Blur
from sparring.nn.levels import channels_at, coarsest, halvings


class Mapping(nn.Module):
    """z and a class to a style w, by slowly learning dense layers; and the mean w, for truncation.

    Args:
        z_dim: size of the latent; 0 maps the class alone (D's side).
        w_dim: size of a style.
        layers: how many dense layers.
        classes: how many classes; 0 for none.
        decay: of the mean style, per call of `observe`.
    """

    def __init__(self, z_dim: int, w_dim: int, layers: int, classes: int = 0, decay: float = 0.995):
        super().__init__()
        if layers < 1:
            raise ValueError(f"the mapping has 1 layer or more, got {layers}")
        self.z_dim, self.classes, self.decay = z_dim, classes, decay
        self.embed = EqualisedLinear(classes, w_dim) if classes else None
        widths = [z_dim + (w_dim if classes else 0)] + [w_dim] * layers
        self.layers = nn.ModuleList(EqualisedLinear(before, w_dim, lr_multiplier=0.01) for before in widths[:-1])
        self.w_mean: Tensor
        if z_dim:
            self.register_buffer("w_mean", torch.zeros(max(classes, 1), w_dim))

    def forward(self, z: Tensor | None, labels: Tensor | None = None, psi: float = 1.0) -> Tensor:
        """``(n, z_dim)`` and int64 ``(n,)`` to ``(n, w_dim)``.

        With ``psi`` other than 1, styles are drawn to the mean: ``w_mean + psi (w - w_mean)`` (Karras et al. 2019,
        appendix B). By class the mean is that of the class: a mean over all of them would be no picture of any.
        """
        parts = [pixel_norm(z)] if z is not None else []
        if self.embed is not None and labels is not None:
            parts.append(pixel_norm(self.embed(one_hot(labels, self.classes).to(self.embed.weight.dtype))))
        w = torch.cat(parts, 1)
        for layer in self.layers:
            w = leaky(layer(w))
        return w if psi == 1 else self.centre(labels).lerp(w, psi)

    def centre(self, labels: Tensor | None) -> Tensor:
        """The mean style ``(1 or n, w_dim)``: of all, or of each sample's class."""
        return self.w_mean if labels is None or not self.classes else self.w_mean[labels]

    @torch.no_grad()
    def observe(self, z: Tensor, labels: Tensor | None = None) -> None:
        """Move the mean style towards the styles of ``z``; without a class in the batch, its mean stays."""
        w = self(z, labels).to(self.w_mean.dtype)
        rows = (
            labels if labels is not None and self.classes else torch.zeros(len(z), dtype=torch.int64, device=z.device)
        )
        total = torch.zeros_like(self.w_mean).index_add_(0, rows, w - self.w_mean[rows])
        count = torch.zeros_like(self.w_mean[:, :1]).index_add_(0, rows, torch.ones_like(w[:, :1]))
        self.w_mean.add_((1 - self.decay) * total / count.clamp(min=1))


class ModulatedConv(Rewritten, nn.Module):
    """A convolution whose input channels are scaled by a style (Karras et al. 2020, eq. 1 and 3).

    w' = s_i w and w'' = w' / sqrt(sum w'^2): scaling the input by s and the output by the root's inverse is the same
    without a kernel per sample, and the sums are one product of matrices, ``s^2`` by ``sum_k w^2``.

    Args:
        inputs, outputs: channels.
        kernel: its side.
        w_dim: size of a style.
        demodulate: whether to divide by the root; not before RGB.
        up: whether to double the sides first, smoothed.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, w_dim: int, demodulate: bool = True, up: bool = False):
        super().__init__()
        self.affine = EqualisedLinear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.demodulate = 1 / math.sqrt(inputs * kernel**2), demodulate
        self.blur = Blur() if up else None

    def forward(self, x: Tensor, w: Tensor, gain: float = 1.0) -> Tensor:
        """``(n, inputs, h, w)`` and styles ``(n, w_dim)`` to ``(n, outputs, h, w)``, or twice the sides.

        What is demodulated may have a ``gain`` at no cost.
        """
        style = self.affine(w)
        weight = self.weight * self.scale
        x = x * style[:, :, None, None].to(x.dtype)
        if self.blur is not None:
            x = convolve_transposed(x, weight.transpose(0, 1), (2, 2), reference=self.reference)
            x = 4 * self.blur(x, padding=1)  # three of four values were zeros
        else:
            edge = weight.shape[-1] // 2
            x = convolve(x, weight, padding=(edge, edge), reference=self.reference)
        if not self.demodulate:
            return x
        return x * (gain * self.demodulation(style, weight))[:, :, None, None].to(x.dtype)

    def demodulation(self, style: Tensor, weight: Tensor) -> Tensor:
        """``1 / sqrt(sum_{i,k} (s_i w_oik)^2 + 1e-8)``: ``(n, outputs)``, in float32 or better."""
        with full_precision(style):
            style = style.to(weight.dtype)
            if self.reference:
                return ((weight * style[:, None, :, None, None]).square().sum((2, 3, 4)) + 1e-8).rsqrt()
            return (style.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()


class StyledLayer(Rewritten, nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU.

    Args:
        inputs, outputs: channels.
        w_dim: size of a style.
        grid: sides of what it makes.
        up: whether it doubles the sides.
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, grid: tuple[int, int], up: bool = False):
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, w_dim, up=up)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise: Tensor
        self.register_buffer("noise", torch.randn(1, 1, *grid))

    def forward(self, x: Tensor, w: Tensor, fresh: bool) -> Tensor:
        """``fresh`` noise for every sample, or the layer's own, always the same."""
        gain = 1.0 if self.reference else GAIN  # of the leaky ReLU; a positive factor may as well come before
        x = self.conv(x, w, gain)
        noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device) if fresh else self.noise
        x = x + (gain * self.strength * noise + gain * self.bias[:, None, None]).to(x.dtype)
        return leaky(x) if self.reference else leaky_relu(x, 0.2)


class ToRGB(nn.Module):
    """Features to a picture: a modulated 1x1 convolution without demodulation."""

    def __init__(self, inputs: int, channels: int, w_dim: int):
        super().__init__()
        self.conv = ModulatedConv(inputs, channels, 1, w_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``(n, inputs, h, w)`` to ``(n, channels, h, w)``, in float32 or better: pictures of all sizes are summed."""
        rgb = self.conv(x, w)
        return rgb.to(self.bias.dtype) + self.bias[:, None, None]


class Synthesis(nn.Module):
    """Styles to a picture: a learnt constant, doubled up to size, with a picture drawn at every size and summed.

    Two styles a size: ``2 (halvings + 1)`` of them, ``2 log2(side) - 2`` at powers of two.

    Args:
        shape: of a picture ``(channels, height, width)``, 8 pixels a side or more; the next larger grid that halves
            evenly is made, and its middle cut out.
        w_dim: size of a style.
        base, most: channels, see `channels_at`.
    """

    def __init__(self, shape: tuple[int, ...], w_dim: int, base: int, most: int):
        super().__init__()
        channels, self.height, self.width = shape
        depth, grid = halvings(shape), coarsest(shape)
        widths = [channels_at(level, base, most) for level in range(depth + 1)]
        self.styles = 2 * (depth + 1)
        self.constant = nn.Parameter(torch.randn(widths[0], *grid))
        self.layers = nn.ModuleList([StyledLayer(widths[0], widths[0], w_dim, grid)])
        self.to_rgb = nn.ModuleList([ToRGB(widths[0], channels, w_dim)])
        for level in range(1, depth + 1):
            before, after = widths[level - 1], widths[level]
            grid = (2 * grid[0], 2 * grid[1])
            self.layers += [StyledLayer(before, after, w_dim, grid, up=True), StyledLayer(after, after, w_dim, grid)]
            self.to_rgb.append(ToRGB(after, channels, w_dim))
        self.blur = Blur()

    def forward(self, styles: Tensor, fresh: bool) -> Tensor:
        """``(n, styles, w_dim)`` to ``(n, *shape)``, unbounded; ``fresh``: new noise for each sample."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        x = self.layers[0](x, styles[:, 0], fresh)
        image = self.to_rgb[0](x, styles[:, 1])
        for level in range(1, len(self.to_rgb)):
            # The style of a size's RGB also opens the next size, as in the authors' code.
            x = self.layers[2 * level - 1](x, styles[:, 2 * level - 1], fresh)
            x = self.layers[2 * level](x, styles[:, 2 * level], fresh)
            image = self.blur.up(image) + self.to_rgb[level](x, styles[:, 2 * level + 1])
        top, left = (image.shape[2] - self.height) // 2, (image.shape[3] - self.width) // 2
        return image[:, :, top : top + self.height, left : left + self.width]
