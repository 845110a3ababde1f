"""Our feature networks and pixel rules against other people's code, on the same random weights and pictures.

    pip install --target FOLDER --no-deps torch-fidelity clean-fid transformers huggingface_hub tokenizers regex
    python benchmarks/parity_networks.py --extra FOLDER

The weights are random because what is compared is the network: keys, shapes, paddings, pools, order. torch-fidelity and
clean-fid import torchvision at the top for parts that are not used here; their modules are loaded without it. Largest
difference relative to the largest value; bar 1e-4. Writes ``docs/results/parity-networks.md``; ends with 1 if a row
misses the bar.
"""

import argparse
import importlib
import platform
import sys
import tempfile
import types
from dataclasses import dataclass
from datetime import date
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from sparring.metrics import resize
from sparring.metrics.foundation import Clip, DinoV2, clip_input, dino_input, read_model
from sparring.metrics.inception import random_inception
from sparring.metrics.lpips import load_lpips

RESULT = Path(__file__).parent.parent / "docs" / "results" / "parity-networks.md"
BAR = 1e-4


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    against: str
    ours: torch.Tensor
    theirs: torch.Tensor

    @property
    def difference(self) -> float:
        """Largest absolute difference over the largest absolute value."""
        return ((self.ours - self.theirs).abs().max() / self.theirs.abs().max()).item()


def bare_package(name: str, folder: Path) -> None:
    """Make the modules of ``name`` importable without running its ``__init__``, which wants torchvision."""
    package = types.ModuleType(name)
    package.__path__ = [str(folder / name)]
    sys.modules[name] = package


def pictures(n: int, height: int, width: int) -> torch.Tensor:
    """Uint8 noise ``(n, 3, height, width)``."""
    return torch.randint(0, 256, (n, 3, height, width), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def inception_rows() -> list[Row]:
    """The FID network against torch-fidelity's, whose weights it is given in its own file format, loaded strictly."""
    theirs = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    ours = random_inception(seed=0)
    state = {key: value for key, value in ours.net.state_dict().items() if "num_batches" not in key}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.pth"
        torch.save(state, file)
        net = theirs("inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(file))
    rows = []
    for height, width in ((32, 32), (299, 299), (340, 180)):
        images = pictures(2, height, width)
        found = ours.both(images)
        with torch.no_grad():
            features, logits = net(images)
        on = f"on {width}×{height}"
        rows += [
            Row(f"FID Inception, pool3, {on}", "torch-fidelity", found.features, features),
            Row(f"FID Inception, logits without bias, {on}", "torch-fidelity", found.logits, logits),
        ]
    return rows


def resize_rows() -> list[Row]:
    """Three ways to 299×299."""
    tf1 = importlib.import_module("torch_fidelity.interpolate_compat_tensorflow")
    clean = importlib.import_module("cleanfid.resize").build_resizer("clean")
    rows = []
    for height, width in ((32, 32), (256, 256), (400, 350)):
        images = pictures(2, height, width)
        theirs = tf1.interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(299, 299), align_corners=False)
        rows.append(Row(f"tf1-bilinear, {width}×{height}", "torch-fidelity", resize.tf1_bilinear(images, 299), theirs))
        theirs = np.stack([clean(image.permute(1, 2, 0).numpy()) for image in images])
        rows.append(
            Row(
                f"clean-bicubic, {width}×{height}",
                "clean-fid",
                resize.clean_bicubic(images, 299),
                torch.from_numpy(theirs).permute(0, 3, 1, 2),
            )
        )
    return rows


def foundation_rows() -> list[Row]:
    """Our wrapping of tiny random DINOv2 and CLIP networks against transformers' own image processing and networks."""
    try:
        import transformers
    except Exception:  # absent, or something that it imports is broken
        return []

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14, "image_size": 56}
    torch.manual_seed(0)
    dino = transformers.Dinov2Model(transformers.Dinov2Config(**sizes)).eval()
    clip = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**sizes, projection_dim=16)).eval()
    images = pictures(2, 90, 90)
    rows = []
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for name, net, wrap, prepare in (("DINOv2", dino, DinoV2, dino_input), ("CLIP", clip, Clip, clip_input)):
            place = Path(folder) / name
            net.save_pretrained(place)
            ours, _ = wrap(read_model(type(net), place))(prepare(images, 56))
            x = prepare(images, 56)
            if name == "DINOv2":
                theirs = net(pixel_values=x).pooler_output
            else:
                theirs = net(pixel_values=x).image_embeds
                theirs = theirs / theirs.norm(dim=1, keepdim=True)
            rows.append(Row(f"{name}, tiny and random, written and read back", "transformers", ours, theirs))
    return rows


def plain_vgg16() -> torch.nn.Module:
    """VGG16 up to its last pool as its paper lists the layers, under torchvision's names: what torch-fidelity taps."""
    layers: list[torch.nn.Module] = []
    before = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [torch.nn.Conv2d(before, width, 3, padding=1), torch.nn.ReLU(inplace=True)]
            before = width
        layers.append(torch.nn.MaxPool2d(2, 2))
    net = torch.nn.Module()
    net.features = torch.nn.Sequential(*layers)
    return net


def lpips_rows() -> list[Row]:
    """LPIPS on VGG16 against torch-fidelity's, on random weights in the files' own keys; heads are 0 or more."""
    sys.modules.setdefault("torchvision", types.ModuleType("torchvision"))  # imported at the top there, not used here
    module = importlib.import_module("torch_fidelity.sample_similarity_lpips")
    torch.manual_seed(0)
    vgg = plain_vgg16()
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((64, 128, 256, 512, 512))}
    module.torchvision_load_pretrained_vgg16 = lambda: vgg
    module.load_state_dict_from_url = lambda *_, **__: heads
    theirs = module.SampleSimilarityLPIPS("lpips-vgg16")
    with tempfile.TemporaryDirectory() as folder:
        trunk, of_heads = Path(folder) / "vgg16.safetensors", Path(folder) / "heads.safetensors"
        save_file(vgg.state_dict(), trunk)
        save_file(heads, of_heads)
        ours = load_lpips("vgg", of_heads, trunk)
    rows = []
    for height, width in ((32, 32), (64, 64), (75, 50)):
        images = pictures(4, height, width)
        with torch.no_grad():
            found, expected = ours(*(images / 127.5 - 1).split(2)), theirs(*images.split(2)).flatten()
        rows.append(Row(f"LPIPS, VGG16, on {width}×{height}", "torch-fidelity", found, expected))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extra", type=Path, required=True, help="folder of the other packages")
    parser.add_argument("--no-write", action="store_true", help="print, and leave docs/results alone")
    arguments = parser.parse_args()
    sys.path.append(str(arguments.extra))
    for name in ("torch_fidelity", "cleanfid"):
        bare_package(name, arguments.extra)
    rows = [*inception_rows(), *resize_rows(), *lpips_rows(), *foundation_rows()]
    wanted = {row.against for row in rows}
    versions = {d.metadata["Name"].replace("_", "-"): d.version for d in distributions(path=[str(arguments.extra)])}
    lines = [
        "# Feature networks, compared",
        "",
        "Our networks and pixel rules beside other people's code, on the same random weights and the same noise",
        "pictures. The difference is the largest one, relative to the largest value of the other side; bar 1e-4. With",
        "the known weights nothing was compared: they were not at hand. A package that does not import is left out.",
        "",
        "| what | against | largest relative difference |",
        "|---|---|---|",
        *(f"| {row.what} | {row.against} | {row.difference:.1e} |" for row in rows),
        "",
        f"{date.today()}, Python {platform.python_version()}, torch {torch.__version__}, "
        + ", ".join(f"{name} {versions[name]}" for name in sorted(wanted & versions.keys()))
        + f", CPU, {torch.get_num_threads()} thread. Repeat: `python benchmarks/parity_networks.py --extra FOLDER`",
        "with those packages in FOLDER, as its first lines say.",
    ]
    print("\n".join(lines))
    if not arguments.no_write:
        RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(any(not row.difference <= BAR for row in rows))


if __name__ == "__main__":
    sys.exit(main())
