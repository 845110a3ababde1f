"""Which metric notices what: MNIST's training pictures, clean and spoilt in ten ways, measured against test pictures.

    SPARRING_TEST_DATA=... python benchmarks/corruptions.py [--count 2000] [--clean 8] [--subsets 3] [--out FILE]

The folder holds ``mnist/`` with the four idx files. Clean subsets play a perfect generator: their spread is the null. A
metric notices a corruption when its mean over subsets lies more than four standard deviations of the null (and at least
one in fifty of its value) away. About ten minutes of one CPU thread.
"""

import argparse
import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sparring.core.config import Data
from sparring.data import open_data, open_test
from sparring.metrics.extractors import make_extractor
from sparring.metrics.features import Extractor, FitData, extract
from sparring.metrics.sets.image import METRICS
from sparring.metrics.suite import Sample, Sides

RESULT = Path(__file__).parent.parent / "docs" / "results" / "corruptions.md"
LIMIT, LEAST_SHARE = 4.0, 0.02
FITTED = 10_000
EXTRACTORS = ("classifier", "pixels-pca")
Pictures = tuple[Tensor, Tensor]  # uint8 (n, 1, 28, 28), int64 (n,)
Spoil = Callable[[Pictures, Pictures, torch.Generator], Pictures]


def blur(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    return avg_pool2d(own[0].float(), 3, stride=1, padding=1).round().to(torch.uint8), own[1]


def noise(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    return (own[0] + 25 * torch.randn(own[0].shape, generator=g)).round().clamp(0, 255).to(torch.uint8), own[1]


def dropped_class(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    kept = (own[1] != 7).nonzero()[:, 0]
    again = kept[torch.arange(len(own[0])) % len(kept)]
    extra = len(own[0]) - len(kept)  # in place of sevens: some other pictures of this subset, moved by a pixel
    images = own[0][again].clone()
    images[-extra:] = images[-extra:].roll(1, 3)
    return images, own[1][again]


def duplicates(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    places = torch.randint(len(own[0]) // 4, (len(own[0]),), generator=g)
    return own[0][places], own[1][places]


def copies(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    half = len(own[0]) // 2
    places = torch.randperm(len(train[0]), generator=g)[:half]
    return torch.cat([own[0][half:], train[0][places]]), torch.cat([own[1][half:], train[1][places]])


def collapse(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    places = torch.randint(20, (len(own[0]),), generator=g)
    near = (own[0][places] + 8 * torch.randn(own[0].shape, generator=g)).round().clamp(0, 255)
    return near.to(torch.uint8), own[1][places]


def contrast(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    return (own[0].float() * 0.7).round().to(torch.uint8), own[1]


def shift(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    return own[0].roll(2, 3), own[1]


def half(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    return own[0][::2], own[1][::2]


def mixed_labels(own: Pictures, train: Pictures, g: torch.Generator) -> Pictures:
    wrong = torch.rand(len(own[1]), generator=g) < 0.2
    other = (own[1] + torch.randint(1, 10, own[1].shape, generator=g)) % 10
    return own[0], torch.where(wrong, other, own[1])


CORRUPTIONS: dict[str, tuple[Spoil, str]] = {
    "blur": (blur, "mean of 3x3 pixels"),
    "noise": (noise, "Gaussian, sigma 25 of 255"),
    "dropped class": (dropped_class, "no sevens; others moved by a pixel in their place"),
    "duplicates": (duplicates, "each picture about four times"),
    "copies": (copies, "half are training pictures"),
    "collapse": (collapse, "20 pictures with a little noise"),
    "contrast": (contrast, "70 %"),
    "shift": (shift, "two pixels to the right"),
    "half": (half, "half as many samples: nothing is wrong with them"),
    "mixed labels": (mixed_labels, "a fifth have another label; the pictures are clean"),
}


def look(pictures: Pictures, extractor: Extractor) -> Sample:
    seen = extract(pictures[0].split(500), extractor)
    return Sample(pictures[0], seen.features, seen.logits, pictures[1])


def measured(fakes: Sample, sides: Sides) -> dict[str, float]:
    """Every number that these sides allow."""
    values: dict[str, float] = {}
    available = sides.available(fakes)
    for metric in METRICS:
        if metric.needs <= available and not metric.slow:
            values |= {name: found.value for name, found in metric.measure(fakes, sides).items()}
    return values


def table_of(
    clean: dict[str, Tensor], spoilt: dict[str, dict[str, Tensor]]
) -> tuple[list[str], dict[str, list[str]], dict[str, int]]:
    """Rows of the table, the metrics that noticed each corruption, and how many each metric noticed."""
    rows = [
        f"| metric | clean | {' | '.join(spoilt)} |",
        f"|---|---|{'---|' * len(spoilt)}",
    ]
    noticed: dict[str, list[str]] = {name: [] for name in spoilt}
    counts: dict[str, int] = {}
    for metric, values in clean.items():
        mean, deviation = float(values.mean()), float(values.std())
        cells, counts[metric] = [], 0
        for name, numbers in spoilt.items():
            value = float(numbers[metric].mean())
            away = abs(value - mean)
            seen = away > LIMIT * deviation and away > LEAST_SHARE * abs(mean)
            cells.append(f"**{value:.3g}**" if seen else f"{value:.3g}")
            if seen:
                noticed[name].append(metric)
                counts[metric] += 1
        rows.append(f"| {metric} | {mean:.3g} ± {deviation:.1g} | {' | '.join(cells)} |")
    return rows, noticed, counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--clean", type=int, default=8)
    parser.add_argument("--subsets", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--extractors", nargs="+", default=EXTRACTORS)
    options = parser.parse_args()
    folder = os.environ.get("SPARRING_TEST_DATA")
    if not folder:
        raise SystemExit("set SPARRING_TEST_DATA to the folder that holds mnist/")
    torch.set_num_threads(1)
    start, cpu = time.perf_counter(), time.process_time()
    n = options.count
    data = open_data(f"{folder}/mnist", Data())
    test = open_test(f"{folder}/mnist", Data(), data.spec)
    if test is None:
        raise SystemExit(f"{folder}/mnist has no t10k files")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))

    def part(place: int) -> Pictures:
        images, labels = data.get(order[place * n : (place + 1) * n])
        assert labels is not None
        return images, labels

    train, subsets = part(0), [part(1 + place) for place in range(options.clean)]
    places = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:n]
    images, labels = test.get(places)
    assert labels is not None
    fit_images, fit_labels = data.get(order[-FITTED:])
    fit = FitData(fit_images, fit_labels, f"mnist corruptions {data.fingerprint} {FITTED}")
    sections: list[str] = []
    by_corruption: dict[str, dict[str, list[str]]] = {}
    for name in options.extractors:
        extractor = make_extractor(name, fit=fit)
        reals = look((images, labels), extractor)
        sides = Sides(reals, (reals, reals), "", look(train, extractor), True, name == "classifier")
        every = [measured(look(subset, extractor), sides) for subset in subsets]
        clean = {metric: torch.tensor([values[metric] for values in every]) for metric in every[0]}
        print(f"{name}: clean after {time.perf_counter() - start:.0f} s", flush=True)
        spoilt = {}
        for corruption, (spoil, _) in CORRUPTIONS.items():
            found = [
                measured(look(spoil(subset, train, torch.Generator().manual_seed(seed)), extractor), sides)
                for seed, subset in enumerate(subsets[: options.subsets])
            ]
            spoilt[corruption] = {
                metric: torch.tensor([values.get(metric, float("nan")) for values in found]) for metric in clean
            }
            print(f"{name}: {corruption} after {time.perf_counter() - start:.0f} s", flush=True)
        rows, noticed, counts = table_of(clean, spoilt)
        by_corruption[name] = noticed
        sections += [f"## Features of {name}", "", f"`{extractor.name}:{extractor.digest[:8]}|{extractor.layer}`", ""]
        sections += [*rows, "", "Noticed, of ten: " + ", ".join(f"{m} {c}" for m, c in counts.items()) + ".", ""]
    lines = [
        "# What the metrics notice",
        "",
        f"`python benchmarks/corruptions.py --count {n} --clean {options.clean} --subsets {options.subsets}`, "
        f"{date.today()}, torch {torch.__version__}, one CPU thread, "
        f"{(time.process_time() - cpu) / 60:.0f} CPU minutes.",
        "",
        f"{n:,} MNIST training pictures play a generator's samples; the reference is {n:,} test pictures, the training "
        f"data of the memorisation metrics {n:,} other training pictures. *clean* is the mean and standard deviation "
        f"over {options.clean} disjoint clean subsets: real against real. Each corruption is the mean over "
        f"{options.subsets} of them. **Bold**: noticed, more than {LIMIT:g} standard deviations and {LEAST_SHARE:.0%} "
        "away from clean.",
        "",
        "| corruption | what it is |",
        "|---|---|",
        *(f"| {corruption} | {words} |" for corruption, (_, words) in CORRUPTIONS.items()),
        "",
        *sections,
        "## What to trust for what",
        "",
        "From the tables above, and for MNIST only:",
        "",
    ]
    for corruption in CORRUPTIONS:
        said = [f"with {name} {', '.join(noticed[corruption]) or 'nothing'}" for name, noticed in by_corruption.items()]
        lines.append(f"* **{corruption}** is noticed " + "; ".join(said) + ".")
    lines += [
        "",
        "*half* is a control: what is bold there moves with the count alone; compare it at equal counts only.",
        "",
    ]
    options.out.write_text("\n".join(lines), encoding="utf-8")
    print(f"{options.out}: {time.perf_counter() - start:.0f} s, {time.process_time() - cpu:.0f} CPU s")


if __name__ == "__main__":
    main()
