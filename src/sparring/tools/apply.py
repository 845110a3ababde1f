"""``sparring apply``: a trained network on pictures of any size and depth.

Values go to [-1, 1] and back by the range of their type, so 16 bits stay 16 bits. Transparency does not go through the
network, unless that was trained with it: it is enlarged beside the colours. Nothing is ever held of the result but one
row of tiles (`sparring.tools.tiles`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import pad

from sparring.core.batch import Batch
from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.core.seeds import SeedNoise
from sparring.data.decode import BadPictureError
from sparring.data.depth import Picture, of_array, of_image
from sparring.data.geometry import Range
from sparring.data.palette import Palette
from sparring.modalities.image import MODES
from sparring.tools.tiles import Read, Tiling, strips

LEAST = 16  # pixels a side that a network gets; smaller pictures are continued by their edge
TILE, WHOLE = 256, 1024  # side of a tile; and for networks that normalise over the picture
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601
Kind = TypeVar("Kind", Tensor, np.ndarray, Image.Image)


@dataclass(frozen=True)
class Applier:
    """A game that makes pictures from pictures, ready to use.

    Args:
        game: in eval mode, on its device.
        tiling: how pictures are cut.
        seed: of its noise, where it has any: the same for every tile.

    Raises:
        SparringError: for a game that makes samples from noise alone, or by class.
    """

    game: Game
    tiling: Tiling
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.game.gives:
            raise SparringError("this run makes pictures from seeds, not from pictures; use sparring sample RUN")
        if self.game.conditional(self.game.config):
            raise SparringError("this run makes pictures by class as well, which apply has no way to ask for")

    @cached_property
    def wanted(self) -> int:
        """How many channels it is given."""
        spec = self.game.spec
        if spec.given:
            return spec.given[0]
        device = next(self.game.parameters()).device
        batch = Batch(torch.zeros(1, *spec.shape, device=device), None, 0, SeedNoise([0], device))
        with torch.inference_mode():
            given = self.game.give(batch)
        assert given is not None
        return given.shape[1]

    @property
    def made(self) -> int:
        """How many channels it makes."""
        return self.game.spec.shape[0]

    @property
    def fills(self) -> bool:
        """Whether transparency says what to make: of a network that learnt from single pictures, and is given one
        channel more than it makes. Pairs may differ by a channel for reasons of their own.
        """
        return not self.game.spec.given and self.wanted in (2, 4) and self.made == self.wanted - 1

    def channels(self, picture: Picture) -> tuple[int, bool]:
        """How many channels the result has with its transparency, and whether it is grey because ``picture`` is.

        What is merely enlarged keeps its kind; a grey picture may otherwise be there to be given colours.
        """
        grey = self.made == 3 and self.wanted == 3 and picture.values.shape[2] == 1 and self.game.scale > 1
        return (1 if grey else self.made) + self._carries_alpha(picture), grey

    def _carries_alpha(self, picture: Picture) -> bool:
        return picture.alpha is not None and self.wanted not in (2, 4) and self.made in (1, 3)

    def rows(self, picture: Picture, tell: Callable[[int], None] = lambda done: None) -> Iterator[np.ndarray]:
        """The result ``(rows, scale * w, c)`` at a time, of the picture's own type; ``tell`` hears of tiles done.

        Raises:
            BadPictureError: for channels that the network cannot be given, or a size it cannot take.
        """
        _, grey = self.channels(picture)
        scale, done = self.game.scale, 0
        alpha = picture.alpha if self._carries_alpha(picture) else None
        luma = torch.tensor(LUMA)[:, None, None]
        reader = self._reader(picture)
        for strip in strips(reader, self._make, picture.size, scale, self.tiling, tell):
            values = (strip * luma).sum(0, keepdim=True) if grey else strip
            rows = _as(values, picture)
            if alpha is not None:
                rows = np.concatenate([rows, _enlarged(alpha, scale, done, len(rows), picture)[..., None]], -1)
            done += len(rows)
            yield rows

    def _reader(self, picture: Picture) -> Read:
        count = picture.values.shape[2]
        palette = Palette(self.game.spec.palette) if self.game.spec.palette else None
        span, middle = (picture.high - picture.low) / 2, (picture.high + picture.low) / 2
        if palette is not None and (count != 3 or picture.values.dtype != np.uint8):
            raise BadPictureError("the run takes label maps: 8-bit pictures in the colours of its palette")
        if self.fills and picture.alpha is None and count != self.wanted:
            raise BadPictureError("it has no transparency, and the run fills what is transparent")
        known = count == self.wanted or (count in (1, 3) and self.wanted <= 4)
        if palette is None and not known:
            raise BadPictureError(f"it has {count} channels, and the run takes {self.wanted}")

        def read(rows: slice, columns: slice) -> Tensor:
            part = np.ascontiguousarray(picture.values[rows, columns])
            if palette is not None:
                classes = palette.one_hot(torch.from_numpy(part).movedim(-1, 0)[None], ["it"])[0]
                return classes.float() / 127.5 - 1
            values = torch.from_numpy((part.astype(np.float32) - middle) / span).movedim(-1, 0)
            if count != self.wanted:
                values = self._as_wanted(values)
                if self.wanted in (2, 4):
                    alpha = None if picture.alpha is None else picture.alpha[rows, columns].astype(np.float32)
                    shown = torch.ones(part.shape[:2]) if alpha is None else torch.from_numpy((alpha - middle) / span)
                    values = torch.cat([values, shown[None]])
            if self.fills:  # what is to be filled is not looked at
                values = torch.cat([values[:-1] * (values[-1:] >= 0), values[-1:]])
            return values

        return read

    def _as_wanted(self, values: Tensor) -> Tensor:
        """Grey or colours ``(c, h, w)`` as the network takes them, without transparency."""
        colour, count = self.wanted - (self.wanted in (2, 4)), len(values)
        if colour == 3 and count < 3:
            return values[:1].expand(3, -1, -1)
        if colour == 1 and count == 3:
            return (values * torch.tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
        return values

    def _make(self, tiles: Tensor) -> Tensor:
        """Tiles ``(n, c, h, w)`` through the network, on the CPU."""
        device = next(self.game.parameters()).device
        height, width = tiles.shape[2:]
        filled = pad(tiles, (0, max(0, LEAST - width), 0, max(0, LEAST - height)), mode="replicate")
        batch = Batch.of_seeds([self.seed] * len(tiles), None, device, given=filled)
        try:
            with torch.inference_mode():
                made = self.game.sample(batch)
        except (RuntimeError, ValueError) as error:
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise SparringError(
                    f"memory ran out on tiles of {width}x{height}, {len(tiles)} at a time; say a smaller --tile or "
                    "--batch"
                ) from None
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise BadPictureError(f"the network cannot take {width}x{height} pixels: {why[:160]}") from None
        scale = self.game.scale
        if made.shape[2] < scale * height or made.shape[3] < scale * width:
            raise BadPictureError(f"the network makes {made.shape[3]}x{made.shape[2]} of {width}x{height} pixels")
        return made[:, :, : scale * height, : scale * width].cpu()

    def picture(self, picture: Picture) -> np.ndarray:
        """The whole result ``(h, w, c)``."""
        return np.concatenate(list(self.rows(picture)))


def normalises(game: Game) -> bool:
    """Whether networks that make samples have layers whose statistics are those of the whole picture."""
    players = game.players()
    layers = [layer for name in game.averaged() for layer in players[name].modules()]
    return any(
        isinstance(layer, nn.InstanceNorm2d | nn.GroupNorm) and not getattr(layer, "track_running_stats", False)
        for layer in layers
    )


def tiling_for(game: Game, tile: int | None = None, overlap: int = 32, batch: int = 1) -> Tiling:
    """A tiling with its tile chosen where nobody says: large where statistics are those of what is seen at once."""
    return Tiling((WHOLE if normalises(game) else TILE) if tile is None else tile, overlap, batch)


def apply_to(applier: Applier, image: Kind, given: Range = None) -> Kind:
    """The result for a PIL image, an array or a tensor, as the same kind of thing.

    Args:
        applier: the network.
        image: any picture of Pillow's; an array ``(h, w)``, ``(h, w, c)`` or ``(c, h, w)`` of any depth; a tensor
            ``(c, h, w)`` or ``(n, c, h, w)``, floating point in [-1, 1] or uint8.
        given: the values of an array that -1 and 1 stand for, where its type does not say.

    Raises:
        SparringError: for what is no picture, or not one that the network can be given.
    """
    try:
        if isinstance(image, Tensor):
            return _of_tensor(applier, image)
        if isinstance(image, Image.Image):
            made = applier.picture(of_image(image, given))
            return _as_image(made)
        picture = of_array(np.asarray(image), given)
        made = applier.picture(picture)
        if image.ndim == 2 and made.shape[2] == 1:
            return made[..., 0]
        return np.moveaxis(made, -1, 0) if picture.first else made
    except BadPictureError as error:
        raise SparringError(f"this picture cannot be used: {error}") from None


def _of_tensor(applier: Applier, image: Tensor) -> Tensor:
    if image.ndim not in (3, 4) or not (image.is_floating_point() or image.dtype == torch.uint8):
        raise BadPictureError(
            f"a tensor is (c, h, w) or (n, c, h, w), floating point in [-1, 1] or uint8; got {tuple(image.shape)} "
            f"{image.dtype}"
        )
    if image.ndim == 4:
        return torch.stack([_of_tensor(applier, one) for one in image])
    values = image.detach().movedim(0, -1).cpu()
    array = values.numpy() if image.dtype == torch.uint8 else values.float().numpy()
    picture = of_array(np.ascontiguousarray(array), None if image.dtype == torch.uint8 else (-1.0, 1.0))
    return torch.from_numpy(applier.picture(picture)).movedim(-1, 0).to(image.device, image.dtype)


def _as_image(values: np.ndarray) -> Image.Image:
    if values.shape[2] == 1:
        return Image.fromarray(np.ascontiguousarray(values[..., 0]))
    if values.dtype != np.uint8 or values.shape[2] not in MODES:
        raise BadPictureError(f"Pillow has no picture of {values.shape[2]} channels of {values.dtype}; give an array")
    return Image.fromarray(np.ascontiguousarray(values))


def _as(strip: Tensor, picture: Picture) -> np.ndarray:
    """``(c, h, w)`` to ``(h, w, c)`` of the picture's type, kept in its range; whole numbers are rounded."""
    dtype = picture.values.dtype
    span, middle = (picture.high - picture.low) / 2, (picture.high + picture.low) / 2
    values = strip.movedim(0, -1).clamp(-1, 1).numpy() * np.float32(span) + np.float32(middle)
    if dtype.kind in "ui":
        values = np.rint(values)
    return np.ascontiguousarray(values.astype(dtype))


def _enlarged(alpha: np.ndarray, scale: int, first: int, count: int, picture: Picture) -> np.ndarray:
    """Rows ``first`` to ``first + count`` of the transparency at its new size, of its own type."""
    if scale == 1:
        return alpha[first : first + count]
    height, width = alpha.shape
    margin = 4  # rows that the filter looks at beyond those it makes
    top, bottom = max(0, first // scale - margin), min(height, -(-(first + count) // scale) + margin)
    part = Image.fromarray(alpha[top:bottom].astype(np.float32))
    box = (0, first / scale - top, width, (first + count) / scale - top)
    larger = np.asarray(part.resize((width * scale, count), Image.Resampling.BICUBIC, box=box))
    return np.clip(np.rint(larger), picture.low, picture.high).astype(alpha.dtype)
