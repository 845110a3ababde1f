"""Pictures from pictures, each beside what it has to beat: the tables of docs/results/translation.md.

    python benchmarks/translation.py DATA [--minutes 16] [--workers 1] [--only pix2pix l1]

DATA holds facades/, horse2zebra/, super_resolution/, cats64/, cifar10/ and weights/ (SqueezeNet 1.0, through which
distances are measured). Every row trains for so many CPU minutes on one thread, times its share; its length in images
is measured first. A run that was stopped goes on where it was, and what is finished is not done again: stop at any time
and say the same again. The page shows every row that is finished, whichever were asked for now. Runs are kept in
runs/bench-translation, a folder for each budget.

The data may not be redistributed, and what a network makes of a picture of it shows that picture: those stay in the
folder of the runs, under pictures/, and the page says so. What the page shows are two photographs that come with
scikit-learn under a licence that allows it.
"""

import argparse
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image
from torch import Tensor

from sparring.core.batch import Batch
from sparring.core.files import write_atomic, write_json
from sparring.core.seeds import SeedNoise
from sparring.data.palette import Palette
from sparring.metrics.consistency import consistency
from sparring.metrics.fidelity import fidelity
from sparring.metrics.frechet import Gaussian, frechet_distance
from sparring.metrics.lpips import load_squeezenet_taps
from sparring.metrics.segmenter import fit_segmenter, seen_by
from sparring.metrics.squeezenet import load_squeezenet
from sparring.modalities.image import from_uint8, grid, to_uint8
from sparring.nn.panels import panels
from sparring.nn.resample import enlarge
from sparring.tools.run import load

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "translation.md"
FACADES, HORSES = "facades/facades_pairs_128.zip", "horse2zebra/horse2zebra_128.zip"
T91, SETS, CATS = "super_resolution/t91.zip", "super_resolution/set5_set14.zip", "cats64/cats64_2500.zip"
CIFAR = "cifar10/cifar10_lossless_part.npz"
LEAST_KIMG = 0.1  # length of the shortest run
APART = 15.0  # CPU seconds between the two runs whose difference is the pace: several times what a start varies by
HELD_OUT = 250  # cats that no run sees
CHUNK = 20


@dataclass(frozen=True)
class Row:
    """What is trained: data as `prepare` leaves it, the family, and settings; ``share`` of the minutes."""

    data: str
    family: str
    settings: str
    share: float = 1.0


FACADE = "--data.size 64 --data.pairs right-to-left --data.flip true"
PIX2PIX = f"{FACADE} --game.width 32 --train.batch 4 --train.ema_kimg 1"
UNPAIRED = "--data.size 64 --data.flip true --game.width 16 --game.blocks 3 --game.change true --game.identity 0"
UNPAIRED += " --optim.G.lr 4e-4 --train.augment diff:translation --train.batch 1 --train.ema_kimg 1"
CROPS = "--data.crop 96 --data.max_bad 0.02 --data.flip true --data.rotate true"  # 1 of 91 is smaller
SRGAN = f"{CROPS} --game.width 32 --game.blocks 8 --train.batch 4 --optim.G.lr 5e-4 --train.ema_kimg 2"
FEATURES = f"{SRGAN} --game.features squeezenet --game.feature_weight 0.05"
INPAINT = "--data.flip true --game.width 12 --game.critic_width 16 --train.batch 8 --optim.lr 4e-4 --train.ema_kimg 2"
COLORIZE = "--data.flip true --game.width 16 --train.batch 8 --train.ema_kimg 2"
ROWS = {
    "l1": Row(FACADES, "pix2pix", f"{PIX2PIX} --game.adversarial 0", 0.75),
    "pix2pix": Row(FACADES, "pix2pix", f"{PIX2PIX} --game.adversarial 0.1 --game.matching 10", 0.75),
    "cyclegan": Row(HORSES, "cyclegan", f"{UNPAIRED} --game.smooth true --game.cycle 1", 2.5),
    "cut": Row(HORSES, "cut", f"{UNPAIRED} --game.nce 0.2 --game.patches 64", 2.5),
    "srresnet": Row(T91, "srgan", f"{SRGAN} --game.adversarial 0", 0.3),
    "srgan-features": Row(T91, "srgan", f"{FEATURES} --game.adversarial 0", 0.3),
    "srgan": Row(T91, "srgan", f"{FEATURES} --game.adversarial 0.05", 0.5),
    "inpaint-l1": Row("cats.npz", "inpaint", f"{INPAINT} --game.adversarial 0", 0.6),
    "inpaint": Row("cats.npz", "inpaint", INPAINT, 0.6),
    "colorize-l1": Row("cats.npz", "colorize", f"{COLORIZE} --game.adversarial 0", 0.2),
    "colorize": Row("cats.npz", "colorize", COLORIZE, 0.2),
    "inpaint-cifar-l1": Row("cifar.npz", "inpaint", f"{INPAINT} --game.adversarial 0", 0.3),
    "inpaint-cifar": Row("cifar.npz", "inpaint", INPAINT, 0.3),
    "colorize-cifar-l1": Row("cifar.npz", "colorize", f"{COLORIZE} --game.adversarial 0", 0.15),
    "colorize-cifar": Row("cifar.npz", "colorize", COLORIZE, 0.15),
}


# ---------------------------------------------------------------------- data


def pictures(archive: Path, prefix: str, size: int = 0, box: tuple[int, int, int, int] | None = None) -> list[Tensor]:
    """uint8 ``(3, h, w)`` of every picture whose name begins so, in the order of names; shrunk as for training."""
    found = []
    with zipfile.ZipFile(archive) as file:
        for name in sorted(name for name in file.namelist() if name.startswith(prefix) and not name.endswith("/")):
            if name.lower().endswith((".png", ".jpg")):
                picture = Image.open(io.BytesIO(file.read(name))).convert("RGB").crop(box)
                picture = picture.resize((size, size), Image.Resampling.LANCZOS) if size else picture
                found.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1))
    return found


def prepare(data: Path, folder: Path) -> None:
    """The cats and the small pictures that may be trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "cats.npz").exists():
        cats = torch.stack(pictures(data / CATS, ""))
        np.savez(folder / "cats.npz", images=cats[HELD_OUT:].movedim(1, 3).numpy())
    if not (folder / "cifar.npz").exists():
        with np.load(data / CIFAR, allow_pickle=False) as arrays:
            np.savez(folder / "cifar.npz", images=arrays["x_train"])


def unseen_cats(data: Path) -> Tensor:
    """uint8 ``(250, 3, 64, 64)``, none of which is trained on."""
    return torch.stack(pictures(data / CATS, "")[:HELD_OUT])


def unseen_cifar(data: Path) -> Tensor:
    """uint8 ``(846, 3, 32, 32)``: the test pictures of the part at hand."""
    with np.load(data / CIFAR, allow_pickle=False) as arrays:
        return torch.from_numpy(arrays["x_test"]).movedim(3, 1).contiguous()


# ---------------------------------------------------------------------- training


def command(row: Row, options: argparse.Namespace, run: Path, kimg: float) -> list[str]:
    data = options.data / row.data if "/" in row.data else options.folder / "data" / row.data
    length = [
        "--train.kimg",
        f"{kimg:g}",
        "--train.save_kimg",
        f"{kimg / 4:g}",
        "--train.picture_kimg",
        f"{kimg / 4:g}",
    ]
    start = [sys.executable, "-m", "sparring", "train", str(data), "--family", row.family, "--run", str(run)]
    common = ["--train.allocator", "keep", "--train.seed", str(options.seed)]
    return [*start, *row.settings.split(), *length, *common]


def timed(arguments: list[str], log: Path, weights: Path) -> float:
    """Run with one thread; the CPU seconds it took."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "SPARRING_WEIGHTS": str(weights)}
    with log.open("a") as file:
        child = subprocess.Popen(arguments, env=environment, stdout=file, stderr=file)
        _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed; see {log}")
    return usage.ru_utime + usage.ru_stime


def train(name: str, options: argparse.Namespace) -> None:
    """One run, unless it was finished before; its length from a short and a longer one before it.

    What is known is kept in a note: the length, so that a run that was stopped goes on to the same, and the CPU
    seconds, of the last sitting alone where there were several.
    """
    row, folder = ROWS[name], options.folder
    log = folder / "logs" / f"{name}.txt"
    held = noted(name, options)
    if "cpu_seconds" in held:
        return
    if "kimg" not in held:
        budget = options.minutes * row.share * 60
        held = {"kimg": max(LEAST_KIMG, round(pace(name, options, budget) * budget, 1)), "sittings": 0}
        shutil.rmtree(folder / name, ignore_errors=True)
    held["sittings"] += 1
    write_json(folder / f"{name}.json", held)
    spent = timed(command(row, options, folder / name, held["kimg"]), log, options.data / "weights")
    write_json(folder / f"{name}.json", {**held, "cpu_seconds": spent})
    print(f"{name}: {held['kimg']:g} kimg in {spent:.0f} CPU seconds", flush=True)


def pace(name: str, options: argparse.Namespace, budget: float) -> float:
    """kimg a CPU second, from a short run and one that is lengthened until it costs `APART` seconds more, or a tenth of
    the ``budget`` where that is less.
    """

    def seconds(kimg: float) -> float:
        run, log = options.folder / "pace" / name, options.folder / "logs" / f"{name}.txt"
        shutil.rmtree(run, ignore_errors=True)
        return timed(command(ROWS[name], options, run, kimg), log, options.data / "weights")

    apart = min(APART, budget / 10)
    short = min(0.1, 0.08 * options.minutes)
    start, long = seconds(short), 4 * short
    while (more := seconds(long) - start) < apart:
        long *= min(8.0, max(1.5, 1.2 * apart / max(more, 0.1)))
    return (long - short) / more


def noted(name: str, options: argparse.Namespace) -> dict[str, float]:
    """What is known of a run."""
    path = options.folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


# ---------------------------------------------------------------------- measuring


class Ruler:
    """Distances through SqueezeNet 1.0: between sets, and between a picture and the one it should be."""

    def __init__(self, weights: Path):
        self.extractor = load_squeezenet(weights)
        self.taps = load_squeezenet_taps(weights)

    def between_sets(self, made: Tensor, real: Tensor) -> float:
        """Fréchet distance of features of uint8 pictures; for comparisons within a table only."""
        return frechet_distance(*(Gaussian.of(self.extractor.features(part).double()) for part in (made, real)))

    @torch.inference_mode()
    def of_pairs(self, made: Tensor, real: Tensor) -> float:
        """Mean perceptual distance of pairs, pictures below 64 pixels a side enlarged."""
        pairs = zip(made.split(CHUNK), real.split(CHUNK), strict=True)
        return torch.cat([self.taps(from_uint8(a), from_uint8(b)) for a, b in pairs]).mean().item()


@torch.inference_mode()
def apply(name: str, folder: Path, real: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
    """What a run makes of uint8 pictures, uint8; and what it was given, in [-1, 1]."""
    game, made, inputs = load(folder / name).game, [], []
    for start in range(0, len(real), CHUNK):
        part = slice(start, start + CHUNK)
        seeds = SeedNoise(range(start, start + len(real[part])), torch.device("cpu"))
        batch = Batch(from_uint8(real[part]), None, 0, seeds, given=None if given is None else from_uint8(given[part]))
        batch.given = game.give(batch)
        made.append(to_uint8(game.sample(batch)))
        inputs.append(batch.given)
    return torch.cat(made), torch.cat([part for part in inputs if part is not None])


def picture(name: str, options: argparse.Namespace, inputs: Tensor, *others: Tensor) -> str:
    """Save inputs and what was made of them side by side, beside the runs; where."""
    shown = panels(inputs[:6], from_uint8(others[0][:6]))
    shown = torch.cat([shown, *(from_uint8(other[:6]) for other in others[1:])], 3)
    return kept_picture(name, options, grid(shown, columns=2, least_side=1100))


def kept_picture(name: str, options: argparse.Namespace, image: Image.Image) -> str:
    """Save a picture beside the runs; where, in words."""
    folder = options.folder / "pictures"
    folder.mkdir(exist_ok=True)
    image.save(folder / f"{name}.png")
    return f"`pictures/{name}.png` in the folder of the runs"


def halved_classes(maps: Tensor, palette: Palette) -> Tensor:
    """Classes ``(n, h / 2, w / 2)`` of uint8 label maps ``(n, 3, h, w)``: the nearest colour of every other pixel.

    Maps that are made smaller first have colours between two areas that are a third one's.
    """
    pixels, colours = maps[..., 1::2, 1::2].movedim(1, 3), torch.from_numpy(palette.values).float()
    return torch.stack([torch.cdist(one.reshape(-1, 3).float(), colours).argmin(1) for one in pixels]).reshape(
        pixels.shape[:3]
    )


def table(head: str, rows: list[list[str]]) -> list[str]:
    columns = head.split(" | ")
    return [f"| {head} |", "|" + "---|" * len(columns), *(f"| {' | '.join(row)} |" for row in rows), ""]


def facades(names: list[str], options: argparse.Namespace, ruler: Ruler) -> list[str]:
    photo, drawn = (0, 0, 128, 128), (128, 0, 256, 128)

    def side(part: str, box: tuple[int, int, int, int], size: int) -> Tensor:
        return torch.stack(pictures(options.data / FACADES, part, size, box))

    photos, maps = side("train/", photo, 64), side("train/", drawn, 128)
    real, given = (side("val/", box, 64) for box in (photo, drawn))
    palette = Palette.find(maps)
    classes = len(palette.colours)
    wanted = halved_classes(side("val/", drawn, 128), palette)
    segment = fit_segmenter(photos, halved_classes(maps, palette), classes)
    ceiling = seen_by(segment, real, wanted, classes)
    rows, shown = [["photographs themselves", "0", f"{ceiling.mean:.3f}", f"{ceiling.accuracy:.3f}", "0"]], []
    for name in names:
        made, inputs = apply(name, options.folder, real, given)
        agreed = seen_by(segment, made, wanted, classes)
        shown.append((inputs, made))
        distances = f"{ruler.between_sets(made, real):.1f}", f"{ruler.of_pairs(made, real):.3f}"
        rows.append([name, distances[0], f"{agreed.mean:.3f}", f"{agreed.accuracy:.3f}", distances[1]])
    line = picture("facades", options, shown[0][0], *(made for _, made in shown), real)
    text = f"400 pairs to learn from, 100 that no run saw; {classes} classes, found by a segmenter of real pairs."
    head = "run | distance of sets ↓ | mean IoU ↑ | pixels right ↑ | distance of pairs ↓"
    order = ", ".join(["input", *names, "truth"])
    return ["## Label maps to facades, 64 pixels", "", text, "", *table(head, rows), f"{order}: {line}.", ""]


def horses(names: list[str], options: argparse.Namespace, ruler: Ruler) -> list[str]:
    given, seen, unseen = (
        torch.stack(pictures(options.data / HORSES, part, 64)) for part in ("testA/", "trainB/", "testB/")
    )
    real = torch.cat([seen, unseen])  # 140 are so few that what is by chance in them would be half of each distance
    untouched = ruler.between_sets(given, real)
    rows, shown = [["horses untouched", f"{untouched:.1f}", ""]], []
    for name in names:
        made, _ = apply(name, options.folder, given, given)
        distance = ruler.between_sets(made, real)
        rows.append([name, f"{distance:.1f}", f"{100 * (untouched - distance) / untouched:.0f}"])
        shown.append(made)
    line = picture("horses", options, from_uint8(given), *shown)
    text = (
        "450 horses and 450 zebras to learn from; 120 horses that no run saw. Distances are to all 590 zebras, 450 of "
        "which were learnt from: the 140 others alone are too few to measure by."
    )
    head = "run | distance to zebras ↓ | % nearer than untouched"
    order = ", ".join(["input", *names])
    return ["## Horses to zebras, 64 pixels", "", text, "", *table(head, rows), f"{order}: {line}.", ""]


def enlarged(names: list[str], options: argparse.Namespace, ruler: Ruler) -> list[str]:
    truths, smalls = (pictures(options.data / SETS, f"Set5/{kind}/") for kind in ("HR", "LRx4"))
    games = {"bicubic": None, **{name: load(options.folder / name).game for name in names}}
    rows, first = [], []
    for name, game in games.items():
        values = []
        for truth, small in zip(truths, smalls, strict=True):
            given = from_uint8(small)[None]
            with torch.inference_mode():
                made = (
                    enlarge(given, 4)
                    if game is None
                    else game.sample(Batch(given, None, 0, SeedNoise([0], given.device), given=given))
                )
            made = to_uint8(made)
            score = fidelity(made, truth[None], channels="y", crop=4)
            values.append(
                [score.psnr, score.ssim, ruler.of_pairs(made, truth[None]), consistency(made, small[None]).item()]
            )
            if truth is truths[2]:
                first.append(made)
        psnr, ssim, distance, same = np.mean(values, 0)
        rows.append([name, f"{psnr:.2f}", f"{ssim:.4f}", f"{distance:.3f}", f"{same:.1f}"])
    sheet = grid(from_uint8(torch.cat([*first, truths[2][None]])), columns=2 + len(names), least_side=1100)
    line = kept_picture("enlarged", options, sheet)
    text = (
        "Learnt from crops of the 91 pictures of Yang et al. 2010; Set5 from its low-resolution files, Y, 4 pixels "
        "of border left out. `srgan` and `srgan-features`, the same without its critic, learn by the very taps that "
        "the distance of pairs is measured through: beside other rows it flatters both, between the two it may judge."
    )
    head = "run | PSNR ↑ | SSIM ↑ | distance of pairs ↓ | consistency, dB ↑"
    order = ", ".join([*games, "truth"])
    return ["## Four times larger", "", text, "", *table(head, rows), f"{order}: {line}.", ""]


def restored(
    title: str, source: Callable[[Path], Tensor], names: list[str], options: argparse.Namespace, ruler: Ruler
) -> list[str]:
    real = source(options.data)
    rows, shown, inputs = [], [], real
    for name in names:
        made, inputs = apply(name, options.folder, real, None)
        score = fidelity(made, real)
        changed = ""
        if "inpaint" in name:
            known = (inputs[:, 3:] >= 0).expand_as(made)
            changed = f"{int((made != real)[known].sum())}"
        distance, pairs = ruler.between_sets(made, real), ruler.of_pairs(made, real)
        rows.append([name, f"{pairs:.3f}", f"{distance:.1f}", f"{score.psnr:.2f}", changed or "–"])
        shown.append(made)
    line = picture(names[-1], options, inputs, *shown, real)
    head = "run | distance of pairs ↓ | distance of sets ↓ | PSNR ↑ | known values changed"
    order = ", ".join(["input", *names, "truth"])
    text = f"{len(real)} pictures that no run saw{', with the same holes for both' if 'inpaint' in names[-1] else ''}."
    return [f"## {title}, {real.shape[-1]} pixels", "", text, "", *table(head, rows), f"{order}: {line}.", ""]


PARTS: list[tuple[tuple[str, ...], Callable[[list[str], argparse.Namespace, Ruler], list[str]]]] = [
    (("l1", "pix2pix"), facades),
    (("cyclegan", "cut"), horses),
    (("srresnet", "srgan-features", "srgan"), enlarged),
    (("inpaint-l1", "inpaint"), partial(restored, "Holes in cats filled", unseen_cats)),
    (("inpaint-cifar-l1", "inpaint-cifar"), partial(restored, "Holes in CIFAR-10 filled", unseen_cifar)),
    (("colorize-l1", "colorize"), partial(restored, "Grey cats coloured", unseen_cats)),
    (("colorize-cifar-l1", "colorize-cifar"), partial(restored, "Grey CIFAR-10 coloured", unseen_cifar)),
]


def photographs(side: int) -> Tensor:
    """The middles of scikit-learn's two photographs (CC BY 2.0), uint8 ``(2, 3, side, side)``."""
    found = []
    for name in ("china.jpg", "flower.jpg"):
        picture = ImageOps.fit(Image.fromarray(load_sample_image(name)), (side, side), Image.Resampling.LANCZOS)
        found.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1))
    return torch.stack(found)


def photographed(finished: Iterable[str], options: argparse.Namespace) -> list[str]:
    """A picture beside the page: two photographs, smaller, with holes and grey, and what was made of them."""
    bands, told = [], []
    for part, size, names in (
        ("made 4 times smaller, then by bicubic", 192, ("srresnet", "srgan")),
        ("with holes", 64, ("inpaint-l1", "inpaint")),
        ("grey", 64, ("colorize-l1", "colorize")),
    ):
        if not set(names) <= set(finished):
            continue
        real = photographs(size)
        made, (inputs, *_) = zip(*(apply(name, options.folder, real, None) for name in names), strict=True)
        given = enlarge(inputs, 4) if "srgan" in names else panels(inputs, from_uint8(made[0]))[..., :size]
        band = torch.cat([to_uint8(given), *made, real], 3)
        bands.append(
            band.movedim(0, 1).flatten(1, 2).repeat_interleave(192 // size, 1).repeat_interleave(192 // size, 2)
        )
        told.append(f"{part}, by {' and by '.join(f'`{name}`' for name in names)}, the truth")
    if not bands:
        return []
    path = options.page.with_suffix(".png")
    Image.fromarray(torch.cat(bands, 1).movedim(0, 2).numpy()).save(path, optimize=True)
    text = (
        f"Two photographs that no run saw. From above: {'; '.join(told)}. Those with holes and the grey ones are 64 "
        "pixels a side; the networks for them know cats alone."
    )
    whose = (
        "Photographs: flickr.com/photos/danielbuechele and flickr.com/photos/vultilion, "
        "[CC BY 2.0](https://creativecommons.org/licenses/by/2.0/), from scikit-learn; cut, made smaller and changed "
        "as said."
    )
    return ["## Seen", "", text, "", f"![photographs restored]({path.name})", "", whose, ""]


def write_page(options: argparse.Namespace) -> None:
    ruler, lines = Ruler(options.data / "weights"), []
    spent = {name: held for name in ROWS if "cpu_seconds" in (held := noted(name, options))}
    for names, measure in PARTS:
        wanted = [name for name in names if name in spent]
        if wanted:
            lines += measure(wanted, options, ruler)
    rows = [
        [name, f"{spent[name]['kimg']:g}", f"{spent[name]['cpu_seconds']:.0f}", f"`{ROWS[name].settings}`"]
        for name in spent
    ]
    head = [
        "# Pictures from pictures",
        "",
        f"{options.minutes:g} CPU minutes a run on one thread, times a share; seed {options.seed}; {date.today()}, "
        f"{os.cpu_count()} cores, {platform.machine()}.",
        "Written by `python benchmarks/translation.py DATA`. Distances are through SqueezeNet 1.0: of sets, the",
        "Fréchet distance of its features; of pairs, the uncalibrated sum over its taps. They are no FID, no LPIPS,",
        "and few pictures make the first large: compare within a table only. The data may not be redistributed: what",
        "is made of it is drawn beside the runs, and not shown here.",
        "",
    ]
    tail = ["## What was trained", "", *table("run | kimg | CPU s | settings", rows)]
    written = options.page
    write_atomic(written, "\n".join([*head, *photographed(spent, options), *lines, *tail]).encode())
    print(f"written: {written}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the sets named above")
    parser.add_argument(
        "--minutes", type=float, default=16.0, help="CPU minutes a run; some take a share of it or more"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="runs side by side, one thread each")
    parser.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="RUN")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench-translation")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the tables go; elsewhere for a trial")
    options = parser.parse_args()
    options.folder = options.folder / f"{options.minutes:g}-minutes-{options.seed}"
    prepare(options.data, options.folder / "data")
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(lambda name: train(name, options), options.only))
    write_page(options)


if __name__ == "__main__":
    main()
