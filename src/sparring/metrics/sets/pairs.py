"""What is measured where it is known what each picture should be: pictures made from pictures, in pairs."""

import math

import torch

from sparring.core.errors import SparringError
from sparring.metrics.consistency import consistency
from sparring.metrics.fidelity import psnr, ssim
from sparring.metrics.lpips import PerceptualDistance, find_lpips, load_squeezenet_taps
from sparring.metrics.segmenter import STEPS, fit_segmenter, seen_by
from sparring.metrics.suite import Look, Measured, Metric, Sample, Sides
from sparring.modalities.image import from_uint8

NORMAL = 1.96
CHUNK = 32


def signal(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """PSNR over all channels, and as super-resolution reports it: luma alone, without as much border as the scale."""
    images, targets = _both(fakes)
    found = {"PSNR": _mean(psnr(images, targets), "")}
    if fakes.scale > 1 and fakes.images.shape[1] == 3:
        border = fakes.scale
        found["PSNR of Y"] = _mean(psnr(images, targets, channels="y", crop=border), f"crop {border}")
    return found


def structure(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """SSIM in a Gaussian window of 11."""
    return {"SSIM": _mean(ssim(*_both(fakes)), "")}


def sameness(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """PSNR of what is enlarged, made small again, against what was given."""
    assert fakes.given is not None
    return {"consistency": _mean(consistency(fakes.images, fakes.given), "")}


def shown(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """What a segmenter fitted on the training pairs sees in pictures; beside it what it sees in the real ones."""
    train, classes = sides.train, len(sides.palette)
    assert train is not None
    assert train.maps is not None
    assert fakes.maps is not None
    segment = fit_segmenter(train.images, train.maps, classes, seed=sides.seed)
    found = seen_by(segment, fakes.images, fakes.maps, classes)
    each = ", ".join(
        f"{colour} {value:.2f}"
        for colour, value in zip(sides.palette, found.per_class, strict=True)
        if not math.isnan(value)
    )
    assert fakes.targets is not None
    real = seen_by(segment, as_uint8(fakes.targets), fakes.maps, classes)
    null = f"the {len(fakes):,} real pictures of the same label maps"
    return {
        "mean IoU": Measured(found.mean, note=each, real_vs_real=real.mean, null=null),
        "pixels right": Measured(found.accuracy, real_vs_real=real.accuracy, null=null),
    }


def perceived(fakes: Sample, sides: Sides) -> dict[str, Measured]:
    """LPIPS, or the distance of SqueezeNet's features under a name of its own, as weights are found."""
    assert fakes.targets is not None
    distance = _distance(tuple(fakes.images.shape[1:]))
    pairs = zip(fakes.images.split(CHUNK), as_uint8(fakes.targets).split(CHUNK), strict=True)
    with torch.inference_mode():
        each = torch.cat([distance(from_uint8(image), from_uint8(target)) for image, target in pairs])
    measured = _mean(each.double(), "")
    name = "LPIPS" if distance.name.startswith("LPIPS") else "LPIPS-like"
    look = Look(distance.name, " ".join(distance.digests), "none", "taps")
    return {name: Measured(measured.value, measured.interval, look=look)}


def _both(fakes: Sample) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures and targets at the depth of the data."""
    assert fakes.targets is not None
    return fakes.images if fakes.exact is None else fakes.exact, fakes.targets


def as_uint8(pictures: torch.Tensor) -> torch.Tensor:
    """Uint16 rounded to 8 bits; uint8 as it is."""
    if pictures.dtype == torch.uint8:
        return pictures
    return pictures.double().div(257).round().to(torch.uint8)


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
    Metric("consistency", {"consistency": "higher"}, sameness, frozenset({"enlarged"}), looks="pixels", null="own"),
    Metric(
        "iou",
        {"mean IoU": "higher", "pixels right": "higher"},
        shown,
        frozenset({"maps", "targets"}),
        looks="pixels",
        parameters={"segmenter": "U-Net", "steps": STEPS},
        null="own",
        slow=True,
    ),
)
