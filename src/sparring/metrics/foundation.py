"""DINOv2 and CLIP, where a person has them: FD-DINOv2 (Stein et al. 2023) and CMMD (Jayasumana et al. 2024).

Their weights are a gigabyte each and read by the package ``transformers``: both are the person's to bring, as a folder
with ``config.json`` and ``model.safetensors``. Nothing is fetched.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparring.core.errors import SparringError
from sparring.core.files import sha256_file
from sparring.metrics.network import NetworkExtractor
from sparring.metrics.resize import imagenet_mean_std, pillow_bicubic

WEIGHTS = "model.safetensors"


class DinoV2(nn.Module):
    """``Dinov2Model`` to its normalised class token ``(n, d)``, as `Stein et al.` read it."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return self.model(pixel_values=x).last_hidden_state[:, 0], None


class Clip(nn.Module):
    """``CLIPVisionModelWithProjection`` to image embeddings ``(n, d)`` of length 1, as CMMD wants them."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return F.normalize(self.model(pixel_values=x).image_embeds), None


def dino_input(images: Tensor, size: int) -> Tensor:
    """Pillow's bicubic, ImageNet's mean and deviation."""
    mean, std = imagenet_mean_std(images.device)
    return (pillow_bicubic(images, size) / 255 - mean) / std


def clip_input(images: Tensor, size: int) -> Tensor:
    """Pillow's bicubic, CLIP's mean and deviation."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073], device=images.device)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711], device=images.device)
    return (pillow_bicubic(images, size) / 255 - mean[:, None, None]) / std[:, None, None]


@dataclass(frozen=True)
class Kind:
    """A known network of this kind.

    Attributes:
        name: of the extractor.
        model: the class in ``transformers``.
        wrap, prepare: from it and from images to features.
        size: of its input.
        expected: what must stand in ``config.json`` (in its vision part where it has one).
        layer, dim: see `Extractor`.
        origin: who gives it away.
    """

    name: str
    model: str
    wrap: Callable[[Any], nn.Module]
    prepare: Callable[[Tensor, int], Tensor]
    size: int
    expected: dict[str, int]
    layer: str
    dim: int
    origin: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "dinov2-vitl14",
            "Dinov2Model",
            DinoV2,
            dino_input,
            224,
            {"hidden_size": 1024, "patch_size": 14, "num_hidden_layers": 24},
            "cls-1024",
            1024,
            "facebook/dinov2-large on Hugging Face",
        ),
        Kind(
            "clip-vitl14-336",
            "CLIPVisionModelWithProjection",
            Clip,
            clip_input,
            336,
            {"hidden_size": 1024, "patch_size": 14, "image_size": 336},
            "image-embedding-768",
            768,
            "openai/clip-vit-large-patch14-336 on Hugging Face",
        ),
    )
}


def load_foundation(name: str, weights: str | Path | None, device: torch.device | str = "cpu") -> NetworkExtractor:
    """The network ``name`` from the folder ``weights``.

    Raises `SparringError` when the folder is not given or holds another network, or ``transformers`` is missing.
    """
    kind = KINDS[name]
    if weights is None:
        raise SparringError(
            f"{name} reads a local folder with config.json and {WEIGHTS}: get {kind.origin} and give the folder with "
            "--weights; nothing is downloaded"
        )
    folder = Path(weights)
    _check_config(kind, folder)
    try:
        import transformers
    except Exception as error:  # a broken torchvision beside it raises RuntimeError, not ImportError
        raise SparringError(
            f"{name} needs the package transformers, which cannot be imported ({str(error).splitlines()[0]}): "
            "pip install 'sparring[foundation]'"
        ) from None
    model = read_model(getattr(transformers, kind.model), folder)
    return NetworkExtractor(
        kind.wrap(model),
        lambda images: kind.prepare(images, kind.size),
        device,
        chunk=16,
        name=name,
        digest=sha256_file(folder / WEIGHTS),
        preprocessing=f"pillow-bicubic-{kind.size}",
        layer=kind.layer,
        dim=kind.dim,
    )


def read_model(model: Any, folder: Path) -> Any:
    """``model.from_pretrained`` of local safetensors alone: no network, no pickles, no code from the folder."""
    try:
        read, about = model.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise SparringError(f"cannot read the weights in {folder}: {str(error).splitlines()[0]}") from None
    missing = sorted(about["missing_keys"])
    if missing:
        raise SparringError(
            f"{folder / WEIGHTS} lacks {missing[0]} and {len(missing) - 1} more weights of this network"
        )
    return read.float().requires_grad_(False).eval()


def _check_config(kind: Kind, folder: Path) -> None:
    for file in ("config.json", WEIGHTS):
        if not (folder / file).is_file():
            raise SparringError(f"{kind.name}: there is no {file} in {folder}; get {kind.origin} as a folder")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = config.get("vision_config", config)
    except (OSError, ValueError, AttributeError) as error:
        raise SparringError(f"cannot read {folder / 'config.json'}: {error}") from None
    for key, value in kind.expected.items():
        if config.get(key) != value:
            raise SparringError(
                f"{folder} is another network than {kind.name}: {key} is {config.get(key)}, not {value}; get "
                f"{kind.origin}"
            )
