"""Augmentation in front of a discriminator: D sees changed pictures, reals and fakes alike, and learns none by heart.

Two kinds. DiffAugment (Zhao et al. 2020, arXiv 2006.10738) changes every picture, always. ADA (Karras et al. 2020,
arXiv 2006.06676) makes each change with a probability p that follows how far D overfits; of its changes, the ones here
need no interpolation, so that all are twice differentiable: an R1 penalty goes through them.

All are affine in the picture and per sample. Colour changes leave an alpha channel (the last of 2 or 4) alone.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sparring.core.errors import SparringError, did_you_mean

# ---------------------------------------------------------------------- changes; random numbers are given, one a sample


def on_colours(images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """``change(colours)``, with the alpha channel of ``(n, 2 or 4, h, w)`` as it was."""
    if images.shape[1] not in (2, 4):
        return change(images)
    return torch.cat([change(images[:, :-1]), images[:, -1:]], dim=1)


def brighten(images: Tensor, amount: Tensor) -> Tensor:
    """x + amount."""
    return on_colours(images, lambda x: x + amount)


def saturate(images: Tensor, factor: Tensor) -> Tensor:
    """Distances from each pixel's grey times ``factor``. Grey pictures have no saturation to change."""
    # x + (f - 1) d instead of grey + f d: exactly x where f is 1
    return on_colours(images, lambda x: x + (factor - 1) * (x - x.mean(1, keepdim=True)) if x.shape[1] > 1 else x)


def contrast(images: Tensor, factor: Tensor, around: Literal["mean", "zero"]) -> Tensor:
    """Distances from the picture's mean, or from middle grey, times ``factor``."""
    return on_colours(
        images, lambda x: x + (factor - 1) * (x - x.mean((1, 2, 3), keepdim=True) if around == "mean" else x)
    )


def translate(images: Tensor, down: Tensor, right: Tensor, edge: Literal["zero", "reflect"]) -> Tensor:
    """Shift by whole pixels; int64, one number a sample. What comes in is 0, or the mirrored picture."""
    for dim, shift in ((2, down), (3, right)):
        size = images.shape[dim]
        source = torch.arange(size, device=images.device) - shift.reshape(-1, 1)
        shape = [len(images), 1, 1, 1]
        shape[dim] = size
        mirrored = (size - 1) - ((size - 1) - source.abs()).abs()
        moved = images.gather(dim, mirrored.reshape(shape).expand_as(images))
        inside = ((source >= 0) & (source < size)).reshape(shape)
        images = moved * inside if edge == "zero" else moved
    return images


def cut_out(images: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """Set a rectangle to 0, middle grey; ``top`` and ``left``, one number a sample, may lie outside the picture."""
    rows = torch.arange(images.shape[2], device=images.device) - top.reshape(-1, 1)
    columns = torch.arange(images.shape[3], device=images.device) - left.reshape(-1, 1)
    in_rows, in_columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    return images * ~(in_rows[:, None, :, None] & in_columns[:, None, None, :])


def turn_quarters(images: Tensor, quarters: Tensor) -> Tensor:
    """Turn square pictures by so many quarters, 0 to 3, one number a sample."""
    quarters = quarters.reshape(-1, 1, 1, 1)
    images = torch.where(quarters % 2 == 1, images.rot90(1, (2, 3)), images)
    return torch.where(quarters >= 2, images.rot90(2, (2, 3)), images)


# ---------------------------------------------------------------------- DiffAugment


def uniform(images: Tensor) -> Tensor:
    """One number in [0, 1) a sample, ``(n, 1, 1, 1)``, from the default generator, which the engine seeds."""
    return torch.rand(len(images), 1, 1, 1, dtype=images.dtype, device=images.device)


def normal(images: Tensor) -> Tensor:
    """One standard normal number a sample, ``(n, 1, 1, 1)``."""
    return torch.randn(len(images), 1, 1, 1, dtype=images.dtype, device=images.device)


def whole(images: Tensor, low: int, high: int) -> Tensor:
    """One whole number in [low, high] a sample, ``(n,)``."""
    return torch.randint(low, high + 1, (len(images),), device=images.device)


def diff_color(images: Tensor) -> Tensor:
    """Brightness by +-0.5, saturation by 0 to 2, contrast by 0.5 to 1.5, each uniform."""
    images = brighten(images, uniform(images) - 0.5)
    images = saturate(images, 2 * uniform(images))
    return contrast(images, uniform(images) + 0.5, "mean")


def diff_translation(images: Tensor, share: float = 1 / 8) -> Tensor:
    """A shift by up to ``share`` of each side, filled up with 0."""
    reach = [int(side * share + 0.5) for side in images.shape[2:]]
    return translate(images, whole(images, -reach[0], reach[0]), whole(images, -reach[1], reach[1]), "zero")


def diff_cutout(images: Tensor, share: float = 1 / 2) -> Tensor:
    """One rectangle of ``share`` of each side, its centre anywhere in the picture. About (7/16)^2 of it is lost."""
    sizes = [int(side * share + 0.5) for side in images.shape[2:]]
    corners = [
        whole(images, 0, side - size % 2) - size // 2 for side, size in zip(images.shape[2:], sizes, strict=True)
    ]
    return cut_out(images, corners[0], corners[1], sizes[0], sizes[1])


DIFF: dict[str, Callable[[Tensor], Tensor]] = {
    "color": diff_color,
    "translation": diff_translation,
    "cutout": diff_cutout,
}


class DiffAugment(nn.Module):
    """Every change of the policy, to every picture (Zhao et al. 2020), in the order given."""

    def __init__(self, policy: tuple[str, ...] = tuple(DIFF)):
        super().__init__()
        self.policy = policy

    def forward(self, images: Tensor) -> Tensor:
        for name in self.policy:
            images = DIFF[name](images)
        return images


# ---------------------------------------------------------------------- ADA

ADA = ("xflip", "rot90", "translation", "brightness", "contrast", "saturation", "cutout")


class AdaptiveAugment(nn.Module):
    """Each change with probability ``p`` on its own, in the order of `ADA` (Karras et al. 2020, sec. 3 and app. B).

    A flip or a turn is drawn from all there are, the one that changes nothing included: as long as p < 1 upright
    pictures stay the likeliest, and the generator learns to make upright ones.

    Attributes:
        p: the probability; a buffer, 0 at first, which a controller of nn/adaptive.py writes.
        tally: what that controller adds up: signs, pictures, batches.
    """

    p: Tensor
    tally: Tensor

    def __init__(self, changes: tuple[str, ...] = ADA):
        super().__init__()
        self.changes = changes
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("tally", torch.zeros(3))

    def forward(self, images: Tensor) -> Tensor:
        for name in ADA:
            if name in self.changes:
                images = self.change(name, images)
        return images

    def change(self, name: str, images: Tensor) -> Tensor:
        """Make one change where the dice say so."""
        happens = uniform(images) < self.p
        sides = images.shape[2:]
        if name == "xflip":
            return torch.where(happens & (uniform(images) < 0.5), images.flip(3), images)
        if name == "rot90":  # a turned oblong picture would have another shape
            quarters = (uniform(images) * 4).long() * happens
            return turn_quarters(images, quarters) if sides[0] == sides[1] else images
        if name == "translation":
            shifts = [(torch.round((2 * uniform(images) - 1) * side / 8) * happens).long() for side in sides]
            return translate(images, shifts[0], shifts[1], "reflect")
        if name == "brightness":
            return brighten(images, 0.2 * normal(images) * happens)
        if name == "contrast":
            return contrast(images, torch.exp2(0.5 * normal(images) * happens), "zero")
        if name == "saturation":
            return saturate(images, torch.exp2(normal(images) * happens))
        sizes = [side // 2 for side in sides]
        corners = [
            (uniform(images) * side).long() - size // 2 + (side + size) * ~happens  # the others' lie outside
            for side, size in zip(sides, sizes, strict=True)
        ]
        return cut_out(images, corners[0], corners[1], sizes[0], sizes[1])


# ---------------------------------------------------------------------- in front of D


class Augmented(nn.Module):
    """D behind an augmentation. In eval mode it is D.

    Its state is D's, under D's own names, beside the augmentation's under ``augment``: so a run with one may begin
    with what a run without has learnt, and the other way round.
    """

    def __init__(self, critic: nn.Module, augment: nn.Module):
        super().__init__()
        self.critic, self.augment = critic, augment
        self.register_state_dict_post_hook(_without_critic)
        self.register_load_state_dict_pre_hook(_with_critic)

    def forward(self, images: Tensor, *args: Any, **named: Any) -> Any:
        """What D says of the changed images; other arguments are handed on."""
        return self.critic(self.augment(images) if self.training else images, *args, **named)


def _without_critic(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}critic.")]:
        state[prefix + name.removeprefix(f"{prefix}critic.")] = state.pop(name)


def _with_critic(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in [name for name in state if name.startswith(prefix) and not name.startswith(f"{prefix}augment.")]:
        state[f"{prefix}critic.{name.removeprefix(prefix)}"] = state.pop(name)


def augmented(critic: nn.Module, kind: str = "none") -> nn.Module:
    """``critic`` behind an augmentation of this kind; for ``none``, the critic itself.

    Args:
        critic: takes ``(n, 1 to 4, h, w)`` first.
        kind: ``none``, ``diff`` or ``ada``; the changes to make may follow, as in ``diff:translation,cutout``.

    Raises `SparringError` for any other kind.
    """
    if kind == "none":
        return critic
    name, _, listed = kind.partition(":")
    if name not in ("diff", "ada"):
        raise SparringError(f"train.augment is none, diff or ada, or diff:{','.join(DIFF)}; got '{kind}'")
    if name == "diff":
        return Augmented(critic, diff_augment(listed if ":" in kind else ",".join(DIFF), "train.augment diff"))
    return Augmented(critic, AdaptiveAugment(chosen(listed, ADA, "train.augment ada") if ":" in kind else ADA))


def diff_augment(policy: str, setting: str) -> DiffAugment:
    """`DiffAugment` of ``color,translation``. Raises `SparringError` naming ``setting`` for what it cannot do."""
    return DiffAugment(chosen(policy, tuple(DIFF), setting))


def chosen(listed: str, known: tuple[str, ...], setting: str) -> tuple[str, ...]:
    """The changes that ``listed`` names."""
    for change in listed.split(","):
        if change not in known:
            raise SparringError(f"{setting} has no '{change}'{did_you_mean(change, known)}; it has {', '.join(known)}")
    return tuple(listed.split(","))


def adapts(D: nn.Module) -> bool:
    """Whether D is behind an augmentation whose p somebody must write (nn/adaptive.py)."""
    return isinstance(D, Augmented) and isinstance(D.augment, AdaptiveAugment)
