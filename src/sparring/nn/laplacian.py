"""The Laplacian pyramid: a picture as a small picture and the details that each doubling needs (Burt and Adelson 1983).

    I_0 = picture,  I_k+1 = down(I_k),  h_k = I_k - up(I_k+1) for k < K,  h_K = I_K

and back again, exactly whatever `down` and `up` are: I_k = up(I_k+1) + h_k.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

Size = tuple[int, int]


def sizes(height: int, width: int, levels: int) -> list[Size]:
    """Height and width of I_0 to I_levels; an odd side is rounded up when it is halved."""
    found = [(height, width)]
    for _ in range(levels):
        height, width = (height + 1) // 2, (width + 1) // 2
        found.append((height, width))
    return found


def down(image: Tensor) -> Tensor:
    """Halve ``(n, c, h, w)``: the mean of each 2x2 pixels, of overlapping ones where a side is odd."""
    height, width = image.shape[2:]
    return adaptive_avg_pool2d(image, ((height + 1) // 2, (width + 1) // 2))


def up(image: Tensor, size: Size) -> Tensor:
    """Enlarge to ``size``, smoothly (bilinear)."""
    return interpolate(image, size, mode="bilinear", align_corners=False)


def laplacian(image: Tensor, levels: int) -> list[Tensor]:
    """``[h_0, ..., h_levels]`` of a picture, finest first; the last is the small picture itself."""
    bands = []
    for _ in range(levels):
        coarse = down(image)
        bands.append(image - up(coarse, size_of(image)))
        image = coarse
    return [*bands, image]


def reconstruct(bands: Sequence[Tensor]) -> Tensor:
    """The picture that `laplacian` took apart."""
    image = bands[-1]
    for band in reversed(bands[:-1]):
        image = up(image, size_of(band)) + band
    return image


def size_of(image: Tensor) -> Size:
    """Height and width."""
    return image.shape[2], image.shape[3]
