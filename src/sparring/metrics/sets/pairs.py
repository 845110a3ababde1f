"""What is measured where it is known what each picture should be: pictures made from pictures, in pairs."""

import torch

from sparring.core.errors import SparringError
from sparring.metrics.fidelity import psnr, ssim
from sparring.metrics.lpips import PerceptualDistance, find_lpips, load_squeezenet_taps
from sparring.metrics.suite import Look, Measured, Metric, Sample, Sides
from sparring.modalities.image import from_uint8

NORMAL = 1.96
CHUNK = 32


def signal(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """PSNR over all channels, and as super-resolution reports it: luma alone, without as much border as the scale."""
    assert fakes.targets is not None
    found = {"PSNR": _mean(psnr(fakes.images, fakes.targets), "")}
    if fakes.scale > 1 and fakes.images.shape[1] == 3:
        border = fakes.scale
        found["PSNR of Y"] = _mean(psnr(fakes.images, fakes.targets, channels="y", crop=border), f"crop {border}")
    return found


def structure(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """SSIM in a Gaussian window of 11."""
    assert fakes.targets is not None
    return {"SSIM": _mean(ssim(fakes.images, fakes.targets), "")}


def perceived(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """LPIPS, or the distance of SqueezeNet's features under a name of its own, as weights are found."""
    assert fakes.targets is not None
    distance = _distance(tuple(fakes.images.shape[1:]))
    pairs = zip(fakes.images.split(CHUNK), fakes.targets.split(CHUNK), strict=True)
    with torch.inference_mode():
        each = torch.cat([distance(from_uint8(image), from_uint8(target)) for image, target in pairs])
    measured = _mean(each.double(), "")
    name = "LPIPS" if distance.name.startswith("LPIPS") else "LPIPS-like"
    look = Look(distance.name, " ".join(distance.digests), "none", "taps")
    return {name: Measured(measured.value, measured.interval, look=look)}


def _distance(shape: tuple[int, ...]) -> PerceptualDistance:
    found = find_lpips(shape)
    if found is not None:
        return found
    try:
        return load_squeezenet_taps()
    except SparringError:
        raise SparringError("no weights of LPIPS or SqueezeNet were found for such pictures") from None


def _mean(each: torch.Tensor, layer: str) -> Measured:
    """Over pictures, with the interval of that mean."""
    mean = each.mean().item()
    if len(each) < 2 or not bool(each.isfinite().all()):
        return Measured(mean, layer=layer)
    reach = NORMAL * each.std().item() / len(each) ** 0.5
    return Measured(mean, (mean - reach, mean + reach), layer=layer)


METRICS: tuple[Metric, ...] = (
    Metric(
        "psnr", {"PSNR": "higher", "PSNR of Y": "higher"}, signal, frozenset({"targets"}), looks="pixels", null="own"
    ),
    Metric("ssim", {"SSIM": "higher"}, structure, frozenset({"targets", "16 pixels"}), looks="pixels", null="own"),
    Metric(
        "lpips",
        {"LPIPS": "lower", "LPIPS-like": "lower"},
        perceived,
        frozenset({"targets", "16 pixels"}),
        looks="pixels",
        null="own",
    ),
)
