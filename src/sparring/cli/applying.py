"""``sparring apply``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from sparring.cli.shell import MISTAKE, Bars, app, console, errors, escape

NAMED = 8  # pictures that could not be used, of many


@app.command
def apply(
    run: Path,
    *inputs: Path,
    out: Path,
    tile: int | None = None,
    overlap: int = 32,
    batch: int = 1,
    kind: Annotated[Literal["auto", "png", "tiff", "npy"], Parameter(name="--format")] = "auto",
    value_range: Annotated[str, Parameter(name="--range")] = "",
    seed: int = 0,
    family: str | None = None,
    device: str = "auto",
) -> int:
    """Make pictures from pictures with a trained run: files, folders or films, of any size, 16 bits kept.

    Parameters
    ----------
    run
        A run folder, or a model/ folder.
    inputs
        Pictures, films (.mp4, .mov, .mkv, .webm, .avi; need sparring[video]) or folders of them: PNG, JPEG, WebP,
        BMP, GIF, TIFF, PPM, .npy.
    out
        The folder to write to. Results are lossless; none is written over its picture.
    tile
        Side in pixels of what the network sees at once; left out, 256, or 1024 where it normalises over the picture;
        0: whole pictures.
    overlap
        How many pixels further than its own square a tile sees; seams are blended along as many.
    batch
        Tiles at a time.
    kind
        Of pictures; auto: PNG for 8 and 16 bits, TIFF for TIFF and floating point, .npy for .npy.
    value_range
        LOW,HIGH: the values that are black and white, such as 0,4095; left out, those of the type.
    seed
        Of the noise, for families that have any.
    family
        Needed only for code outside the registry: my.module:MyGAN.
    device
        auto, cpu, cuda, mps.
    """
    from sparring.data.geometry import parse_range
    from sparring.tools.apply import Applier, tiling_for
    from sparring.tools.applying import apply_files
    from sparring.tools.run import load

    given = parse_range(value_range)
    game = load(run, family, device).game
    applier = Applier(game, tiling_for(game, tile, overlap, batch), seed)
    with Bars() as progress:
        done = apply_files(applier, inputs, out, kind, given, progress)
    for note in done.notes:
        console.print(f"  {escape(note)}", style="dim")
    if done.written:
        console.print(f"{len(done.written):,} pictures in {out}")
    for path, why in done.failed[:NAMED]:
        errors.print(f"{path}: {why}", markup=False, soft_wrap=True)
    if done.failed:
        more = f", {NAMED} of them named above" if len(done.failed) > NAMED else ""
        errors.print(f"{len(done.failed):,} pictures could not be used{more}", soft_wrap=True)
    return MISTAKE if done.failed else 0
