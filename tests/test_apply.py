"""Applying a network to pictures: depth, transparency and what else a file says stay; each mistake has its sentence."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import sparring as package
from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.core.spec import DataSpec
from sparring.data.decode import BadPictureError
from sparring.data.depth import Kind, Meta, read_deep
from sparring.data.strips import open_strips
from sparring.tools.apply import Applier, apply_to, tiling_for
from sparring.tools.applying import apply_files
from sparring.tools.tiles import Tiling
from translators import Enlarge, Fill, Noisy, Retouch, Same

SMALL = Tiling(48, 8, 2)
RGB = DataSpec("image", (3, 16, 16))


def applier(cls: type[Game], spec: DataSpec | None = None, tiling: Tiling = SMALL, seed: int = 0) -> Applier:
    torch.manual_seed(0)
    return Applier(cls(spec or cls.tiny()[0], None).eval().requires_grad_(False), tiling, seed)


def pixels(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top + 1, shape).astype(dtype)


def written(path: Path, values: np.ndarray, kind: str = "png", **meta: Any) -> Path:
    shape = (values.shape[0], values.shape[1], values.shape[2])
    with open_strips(kind, path, shape, values.dtype, Meta(**meta), first=False) as file:  # type: ignore[arg-type]
        file.write(values)
    return path


def through(network: Applier, path: Path, out: Path, **options: Any) -> Path:
    done = apply_files(network, [path], out, **options)
    assert not done.failed, done.failed
    (target,) = done.written
    return target


def all_of(path: Path) -> np.ndarray:
    picture = read_deep(path)
    return picture.values if picture.alpha is None else np.concatenate([picture.values, picture.alpha[..., None]], -1)


# ------------------------------------------------------------------ depth


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["png", "tiff", "npy"])
def test_what_is_written_is_read_as_it_was(tmp_path: Path, kind: str, channels: int, dtype: Any) -> None:
    values = pixels(70, 37, channels, dtype=dtype)
    path = written(tmp_path / f"x.{kind}", values, kind)
    if (kind, channels, dtype) == ("tiff", 2, np.uint16):
        with pytest.raises(BadPictureError):  # Pillow reads no such TIFF
            read_deep(path)
        return
    np.testing.assert_array_equal(all_of(path), values[..., :1] if channels == 1 else values)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    if kind != "npy":  # others read it too; of 16-bit colour Pillow takes the upper 8 bits
        with Image.open(path) as image:
            seen = np.asarray(image.convert("LA") if channels == 2 else image)
        deep = dtype == np.uint16 and channels > 1
        np.testing.assert_array_equal(seen.reshape(values.shape), values >> 8 if deep else values)


@pytest.mark.parametrize("name", ["x.png", "x.tiff", "x.npy"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_bits_come_through(tmp_path: Path, name: str, dtype: Any) -> None:
    """A network that changes nothing gives the very values back, tiled and blended."""
    values = pixels(100, 130, 3, dtype=dtype)
    target = through(applier(Same, RGB), written(tmp_path / name, values, name[2:]), tmp_path / "out")
    assert target.suffix == {"x.png": ".png", "x.tiff": ".tif", "x.npy": ".npy"}[name]
    np.testing.assert_array_equal(all_of(target), values)
    assert all_of(target).dtype == dtype


def test_floating_point_and_ranges(tmp_path: Path) -> None:
    grey = DataSpec("image", (1, 16, 16))
    values = np.random.default_rng(0).random((60, 60, 1), dtype=np.float32)
    target = through(applier(Same, grey), written(tmp_path / "x.tiff", values, "tiff"), tmp_path / "out")
    assert target.suffix == ".tif"
    np.testing.assert_allclose(all_of(target), values, atol=1e-6)

    scan = (
        np.random.default_rng(0).integers(-1000, 3001, (5, 60, 60)).astype(np.int16)
    )  # channels first, as of a volume
    np.save(tmp_path / "scan.npy", scan)
    five = DataSpec("image", (5, 16, 16))
    with pytest.raises(SparringError, match=r"--range LOW,HIGH"):
        apply_to(applier(Same, five), scan)
    target = through(applier(Same, five), tmp_path / "scan.npy", tmp_path / "out", given=(-1024.0, 3071.0))
    np.testing.assert_array_equal(np.load(target), scan)
    with pytest.raises(SparringError, match=r"outside of 0 to 100"):
        apply_to(applier(Same, five), scan, (0.0, 100.0))
    with pytest.raises(SparringError, match="not finite"):
        apply_to(applier(Same, grey), np.full((20, 20), np.nan, np.float32))


def test_half_a_file_is_never_left(tmp_path: Path) -> None:
    def begin(kind: Kind) -> None:
        shape = (8, 8, 3)
        with open_strips(kind, tmp_path / "x", shape, np.dtype(np.uint8), Meta(), first=False) as file:
            file.write(pixels(4, 8, 3))
            raise ZeroDivisionError

    for kind in ("png", "tiff", "npy"):
        with pytest.raises(ZeroDivisionError):
            begin(kind)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ what is done to a picture


def test_tiles_and_whole_agree_in_files(tmp_path: Path) -> None:
    """Within 1 of 65,535, with 16 bits in and out, twice as large."""
    path = written(tmp_path / "x.png", pixels(150, 131, 3, dtype=np.uint16))
    tiled = all_of(through(applier(Enlarge), path, tmp_path / "tiled"))
    whole = all_of(through(applier(Enlarge, tiling=Tiling(0)), path, tmp_path / "whole"))
    assert tiled.shape == (300, 262, 3)
    assert tiled.dtype == np.uint16
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert whole.std() > 1000


def test_kinds_in_python_stay_what_they_are() -> None:
    network = applier(Enlarge)
    eight = pixels(20, 30, 3)
    made = apply_to(network, eight)
    assert (made.shape, made.dtype) == ((40, 60, 3), np.uint8)
    image = apply_to(network, Image.fromarray(eight))
    assert isinstance(image, Image.Image)
    np.testing.assert_array_equal(np.asarray(image), made)
    floats = torch.from_numpy(eight).movedim(-1, 0).float() / 127.5 - 1
    tensor = apply_to(network, floats)
    assert (tensor.shape, tensor.dtype) == ((3, 40, 60), torch.float32)
    assert (tensor.movedim(0, -1) - (torch.from_numpy(made).float() / 127.5 - 1)).abs().max() <= 0.51 / 127.5
    stack = apply_to(network, torch.from_numpy(eight).movedim(-1, 0)[None].repeat(2, 1, 1, 1))
    assert (stack.shape, stack.dtype) == ((2, 3, 40, 60), torch.uint8)
    np.testing.assert_array_equal(stack[1].movedim(0, -1).numpy(), made)
    first = apply_to(network, np.moveaxis(eight, -1, 0))
    np.testing.assert_array_equal(first, np.moveaxis(made, -1, 0))
    for wrong in (torch.zeros(20, 20), torch.zeros(3, 20, 20, dtype=torch.int64), np.zeros(7), np.zeros((2, 2), "U1")):
        with pytest.raises(SparringError, match="this picture cannot be used"):
            apply_to(network, wrong)  # type: ignore[type-var]


def test_grey_stays_grey_where_a_picture_is_restored() -> None:
    grey = pixels(20, 30, dtype=np.uint16)
    made = apply_to(applier(Enlarge), grey)
    assert (made.shape, made.dtype) == ((40, 60), np.uint16)
    translated = apply_to(applier(Retouch), grey)  # into another domain, which has colour
    assert translated.shape == (20, 30, 3)
    to_grey = apply_to(applier(Same, DataSpec("image", (1, 16, 16))), np.full((20, 20, 3), (255, 0, 0), np.uint8))
    assert to_grey.shape[-1] == 1
    assert set(to_grey.ravel().tolist()) == {76}  # 0.299 of 255


def test_transparency_is_enlarged_beside_the_colours(tmp_path: Path) -> None:
    values = pixels(90, 70, 4, dtype=np.uint16)
    values[..., 3] = np.linspace(0, 65535, 90)[:, None]
    made = all_of(through(applier(Enlarge), written(tmp_path / "x.png", values), tmp_path / "out"))
    opaque = all_of(through(applier(Enlarge), written(tmp_path / "o.png", values[..., :3].copy()), tmp_path / "out"))
    np.testing.assert_array_equal(made[..., :3], opaque)
    whole = Image.fromarray(values[..., 3].astype(np.float32)).resize((140, 180), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(made[..., 3], np.clip(np.asarray(whole), 0, 65535), atol=1)  # strips make no seams
    with_alpha = applier(Same, DataSpec("image", (4, 16, 16)))  # trained with transparency
    np.testing.assert_array_equal(apply_to(with_alpha, Image.fromarray(pixels(30, 30, 4))), pixels(30, 30, 4))


def test_what_a_file_says_is_kept(tmp_path: Path) -> None:
    profile = bytes(16) + b"RGB " + bytes(108)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"  # turned a quarter; who made the camera
    values = pixels(40, 60, 3)
    Image.fromarray(values).save(tmp_path / "x.png", exif=exif, icc_profile=profile, dpi=(300, 300))
    with Image.open(through(applier(Same, RGB), tmp_path / "x.png", tmp_path / "out")) as image:
        np.testing.assert_array_equal(np.asarray(image), np.rot90(values, -1))
        assert image.info["icc_profile"] == profile
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        kept = image.getexif()
        assert kept.get(0x010F) == "maker"
        assert 0x0112 not in kept
    grey = applier(Same, DataSpec("image", (1, 16, 16)))
    with Image.open(through(grey, tmp_path / "x.png", tmp_path / "grey")) as image:
        assert "icc_profile" not in image.info  # it is one of three colours


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels(20, 33, 3)).save(tmp_path / "x.png", exif=exif)
    from PIL import ImageOps

    with Image.open(tmp_path / "x.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_deep(tmp_path / "x.png").values, upright)


def test_what_is_transparent_is_filled_by_a_network_that_fills() -> None:
    """One channel more is given than is made: the transparency, below one half where something is to be made."""
    network = applier(Fill, RGB)
    assert network.fills
    picture = pixels(60, 70, 4, dtype=np.uint8)
    picture[..., 3] = 255
    picture[20:40, 30:50, 3] = 0
    made = np.asarray(apply_to(network, Image.fromarray(picture)))
    known = picture[..., 3] == 255
    np.testing.assert_array_equal(made[known], picture[known][:, :3])
    assert (made[~known] == 255).all()
    with pytest.raises(SparringError, match="fills what is transparent"):
        apply_to(network, picture[..., :3])


def test_what_is_to_be_filled_may_be_the_last_channel_of_an_array(tmp_path: Path) -> None:
    network, picture = applier(Fill, RGB), pixels(60, 70, 4)
    picture[..., 3] = 255
    picture[20:40, 30:50, 3] = 0
    expected = np.asarray(apply_to(network, Image.fromarray(picture)))
    np.testing.assert_array_equal(apply_to(network, picture), expected)
    tensor = apply_to(network, torch.from_numpy(picture).movedim(-1, 0))
    np.testing.assert_array_equal(tensor.movedim(0, -1).numpy(), expected)
    np.save(tmp_path / "x.npy", picture)
    np.testing.assert_array_equal(np.load(through(network, tmp_path / "x.npy", tmp_path / "out")), expected)


def test_pairs_that_differ_by_their_transparency_fill_nothing() -> None:
    """RGBA to RGB, learnt from pairs: opaque and grey-alpha pictures are as good as any, and colours stay seen."""
    network = applier(Retouch, DataSpec("image", (3, 16, 16), given=(4, 16, 16)))
    assert not network.fills
    picture = pixels(20, 24, 4)
    opaque = np.dstack([picture[..., :3], np.full((20, 24), 255, np.uint8)])
    np.testing.assert_array_equal(apply_to(network, picture[..., :3]), apply_to(network, opaque))
    hidden = np.dstack([picture[..., :3], np.zeros((20, 24), np.uint8)])
    other = np.dstack([255 - picture[..., :3], np.zeros((20, 24), np.uint8)])
    seen = [np.asarray(apply_to(network, Image.fromarray(one))) for one in (hidden, other)]
    assert (seen[0] != seen[1]).any()


def test_a_network_that_normalises_gets_large_tiles_and_a_word(tmp_path: Path) -> None:
    network = applier(Same, RGB)
    assert tiling_for(network.game).tile == 256
    network.game.G.append(nn.InstanceNorm2d(3))  # type: ignore[union-attr, operator]
    assert tiling_for(network.game).tile == 1024
    done = apply_files(network, [written(tmp_path / "x.png", pixels(70, 70, 3))], tmp_path / "out")
    assert "--tile 0 takes pictures whole" in done.notes[0]


def test_noise_is_of_the_seed() -> None:
    picture = pixels(30, 30, 3)
    one, other, again = (apply_to(applier(Noisy, RGB, seed=seed), picture) for seed in (1, 2, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one.astype(int) - other).mean() > 1


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2), (5, 7)])
def test_tiny_pictures_and_strips(size: tuple[int, int]) -> None:
    values = pixels(*size, 3)
    np.testing.assert_array_equal(apply_to(applier(Same, RGB), values), values)
    assert apply_to(applier(Enlarge), values).shape == (2 * size[0], 2 * size[1], 3)


def save(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "channels"),
    [
        (lambda: save(Image.fromarray(pixels(24, 24, 4)).convert("CMYK"), "TIFF"), 3),
        (lambda: save(Image.fromarray(pixels(24, 24, 3)).quantize(16)), 3),
        (lambda: save(Image.fromarray(pixels(24, 24, 3)).quantize(16), transparency=3), 4),
        (lambda: save(Image.fromarray(pixels(24, 24)).convert("1")), 1),
        (lambda: save(Image.fromarray(pixels(24, 24)), transparency=7), 2),
        (lambda: save(Image.fromarray(pixels(24, 24, 3)), "JPEG"), 3),
        (lambda: save(Image.fromarray(pixels(24, 24, 3)), "WEBP", lossless=True), 3),
        (lambda: save(Image.fromarray(pixels(24, 24, dtype=np.uint16))), 1),
        (lambda: save(Image.fromarray(pixels(24, 24, dtype=np.uint16)), "PPM"), 1),
    ],
    ids=["cmyk", "palette", "palette with a transparent colour", "bilevel", "grey", "jpeg", "webp", "png16", "pgm16"],
)
def test_modes(tmp_path: Path, make: Callable[[], bytes], channels: int) -> None:
    (tmp_path / "x").write_bytes(make())
    done = apply_files(applier(Enlarge), [tmp_path / "x"], tmp_path / "out")
    assert not done.failed
    assert all_of(done.written[0]).shape == (48, 48, channels)
    assert all_of(done.written[0]).dtype == (np.uint16 if "6" in done.written[0].name else all_of(tmp_path / "x").dtype)


def test_label_maps_by_palette() -> None:
    spec = DataSpec("image", (3, 16, 16), given=(2, 16, 16), palette=("#ff0000", "#0000ff"))
    network = applier(Retouch, spec)
    red = np.full((20, 20, 3), (255, 0, 0), np.uint8)
    assert apply_to(network, red).shape == (20, 20, 3)
    with pytest.raises(SparringError, match=r"#00ff00 at row 0, column 0.*#ff0000, #0000ff"):
        apply_to(network, np.full((20, 20, 3), (0, 255, 0), np.uint8))
    with pytest.raises(SparringError, match="label maps"):
        apply_to(network, pixels(20, 20))


# ------------------------------------------------------------------ files and folders


def test_a_folder_with_a_bad_picture_goes_on(tmp_path: Path) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    for name in ("a.png", "sub/a.png"):
        written(tmp_path / "in" / name, pixels(20, 20, 3))
    (tmp_path / "in/broken.png").write_bytes(b"\x89PNG")
    np.save(tmp_path / "in/many.npy", pixels(20, 20, 7))
    (tmp_path / "in/notes.txt").write_text("hello")
    (tmp_path / "in/.hidden.png").write_bytes(b"no")
    told: list[tuple[int, int]] = []
    done = apply_files(
        applier(Enlarge), [tmp_path / "in"], tmp_path / "out", progress=lambda stage, n, of: told.append((n, of))
    )
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in done.written)
    assert names == ["a.png", "sub/a.png"]
    assert {path.name for path, _ in done.failed} == {"broken.png", "many.npy"}
    assert any("7 channels, and the run takes 3" in why for _, why in done.failed)
    assert told[-1][0] == told[-1][1]


def test_mistakes_of_names(tmp_path: Path) -> None:
    one, other = written(tmp_path / "x.png", pixels(9, 9, 3)), written(tmp_path / "x.tif", pixels(9, 9, 3), "tiff")
    for inputs, out, words in (
        ([one, other], tmp_path / "out", "would both become"),
        ([one], tmp_path, "written over"),
        ([tmp_path / "no.png"], tmp_path / "out", "there is no file or folder"),
        ([], tmp_path / "out", "there is no picture"),
    ):
        with pytest.raises(SparringError, match=words):
            apply_files(applier(Same, RGB), inputs, out)
    assert not (tmp_path / "out").exists()


def test_formats_that_cannot_hold_it(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tiff", np.zeros((20, 20, 1), np.float32), "tiff")
    grey = applier(Same, DataSpec("image", (1, 16, 16)))
    other = written(tmp_path / "y.png", pixels(20, 20, 1))
    done = apply_files(grey, [path, other], tmp_path / "out", "png")
    assert [target.name for target in done.written] == ["y.png"]  # the others are done
    assert done.failed == ((path, "a PNG holds 8 and 16 bits, not float32; say --format tiff or npy"),)
    assert through(grey, path, tmp_path / "out", kind="npy").suffix == ".npy"


# ------------------------------------------------------------------ from training to the command


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    for side in ("input", "target"):
        (root / side).mkdir()
        for index in range(12):
            written(root / side / f"{index}.png", pixels(16, 16, 3, seed=index))
    options = {"kimg": 0.064, "batch": 8, "tick_kimg": 1.0, "picture_kimg": 1.0}
    folder = root / "run"
    package.train(root, family="translators:Retouch", run=folder, data_settings={"pairs": "a-to-b"}, **options)
    return folder


def test_the_command_and_python_give_the_same(run: Path, sparring: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "x.png", pixels(50, 40, 3, dtype=np.uint16))
    answer = sparring(
        "apply",
        run,
        path,
        "--out",
        tmp_path / "out",
        "--family",
        "translators:Retouch",
        "--tile",
        "32",
        "--overlap",
        "8",
    )
    assert answer.code == 0, answer.err
    assert "1 pictures in" in answer.out
    loaded = package.load(run, "translators:Retouch")
    np.testing.assert_array_equal(all_of(tmp_path / "out/x.png"), loaded.apply(all_of(path), tile=32, overlap=8))
    again = sparring("sample", run, "--family", "translators:Retouch", "--out", tmp_path / "o")
    assert again.code == 2
    assert "sparring apply" in again.err


def test_mistakes_on_the_command_line(run: Path, refused: Any, sparring: Any, finished: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "x.png", pixels(20, 20, 3))
    here = ("apply", run, path, "--out", tmp_path / "out", "--family", "translators:Retouch")
    assert "three times the overlap" in refused(*here, "--tile", "64", "--overlap", "32")
    assert "two numbers" in refused(*here, "--range", "3")
    assert "goes up" in refused(*here, "--range", "3,1")
    assert "use sparring sample RUN" in refused("apply", finished, path, "--out", tmp_path / "out")
    (tmp_path / "bad.png").write_bytes(b"no")
    answer = sparring("apply", run, path, tmp_path / "bad.png", *here[3:])
    assert answer.code == 2
    assert "1 pictures could not be used" in answer.err
    assert (tmp_path / "out/x.png").is_file()
