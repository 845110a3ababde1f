"""Decoding: modes, policies, geometry, and files that are not what they say."""

import io
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sparring.core.config import Data
from sparring.core.errors import SparringError
from sparring.data.decode import BadPictureError, decode, is_picture, look
from sparring.data.geometry import Geometry, choose, fit, parse
from sparring.data.pixels import fewest, to_channels, together

SIDE = Geometry((8, 8), "crop", "")


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("image", "channels"),
    [
        (Image.fromarray(noise(8, 8)), 1),
        (Image.fromarray(noise(8, 8) > 127), 1),
        (Image.fromarray(noise(8, 8, 3)), 3),
        (Image.fromarray(np.repeat(noise(8, 8, 1), 3, axis=2)), 1),  # grey stored as RGB
        (Image.fromarray(noise(8, 8, 4)), 4),
        (Image.fromarray(np.concatenate([noise(8, 8, 3), np.full((8, 8, 1), 255, np.uint8)], 2)), 3),  # opaque
        (Image.fromarray(noise(8, 8, 2)), 2),
        (Image.fromarray(noise(8, 8, 3)).quantize(16), 3),
    ],
)
def test_fewest_channels_that_hold_a_picture(image: Image.Image, channels: int) -> None:
    decoded = decode(encode(image), SIDE)
    assert decoded.pixels.shape == (8, 8, channels)
    assert decoded.pixels.dtype == np.uint8


def test_lossless_pixels_come_back_exactly() -> None:
    for shape in ((8, 8, 3), (8, 8, 4), (8, 8, 2)):
        pixels = noise(*shape)
        np.testing.assert_array_equal(decode(encode(Image.fromarray(pixels)), SIDE).pixels, pixels)


def test_palette_transparency_becomes_alpha() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 1)
    pixels = decode(encode(image, transparency=1), SIDE).pixels
    assert pixels.shape == (8, 8, 4)
    assert pixels[0, 0, 3] == 0
    assert tuple(pixels[1, 1]) == (255, 0, 0, 255)


def test_transparent_grey_of_png_becomes_alpha() -> None:
    pixels = decode(encode(Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)), transparency=5), SIDE).pixels
    assert pixels.shape == (8, 8, 2)
    assert (pixels[..., 1] == 0).sum() == 1


def test_sixteen_bit_is_scaled_by_257_and_never_clipped() -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    decoded = decode(encode(Image.fromarray(values)), SIDE)
    np.testing.assert_array_equal(decoded.pixels[..., 0], np.rint(values / 257))
    assert decoded.policies == ("16-bit values are scaled to 8 bit",)


def test_floats_from_0_to_1_are_scaled_and_others_refused() -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    np.testing.assert_array_equal(
        decode(encode(Image.fromarray(values), "TIFF"), SIDE).pixels[..., 0], np.rint(values * 255)
    )
    for wrong in (values * 2, values - 0.5, values * np.nan):
        with pytest.raises(BadPictureError, match="its values run from"):
            decode(encode(Image.fromarray(wrong), "TIFF"), SIDE)


def test_cmyk_is_converted_and_said() -> None:
    decoded = decode(encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100), SIDE)
    red, green, blue = decoded.pixels.reshape(-1, 3).mean(0)
    assert red > 200
    assert max(green, blue) < 60
    assert "CMYK" in decoded.policies[0]


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to show
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255  # the left half; shown, it is the top
    data = encode(Image.fromarray(pixels), "JPEG", exif=exif, quality=100)
    assert look(lambda: io.BytesIO(data)).size == (16, 8)
    shown = decode(data, Geometry((16, 8), "crop", "")).pixels
    assert shown[:6].min() > 200
    assert shown[-6:].max() < 50


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_formats_are_known_by_content(kind: str) -> None:
    data = encode(Image.fromarray(noise(8, 8, 3)), kind)
    assert is_picture(data[:16])
    assert decode(data, SIDE).pixels.shape == (8, 8, 3)


def test_other_formats_are_not_opened() -> None:
    for kind in ("ICO", "PCX", "TGA"):
        with pytest.raises(BadPictureError, match="not a PNG"):
            decode(encode(Image.fromarray(noise(16, 16, 3)), kind), SIDE)
    assert not is_picture(b"PK\x03\x04 and so on......")


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    decoded = decode(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), SIDE)
    assert tuple(decoded.pixels[0, 0]) == (255, 0, 0)
    assert "first" in decoded.policies[0]


def test_damaged_pictures_are_bad_with_a_reason() -> None:
    whole = encode(Image.fromarray(noise(64, 64, 3)), "JPEG")
    with pytest.raises(BadPictureError, match="cut short"):
        decode(whole[: len(whole) // 2], SIDE)
    png = encode(Image.fromarray(noise(64, 64, 3)))
    with pytest.raises(BadPictureError):
        decode(png[: len(png) // 2], SIDE)
    for junk in (b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(20)):
        with pytest.raises(BadPictureError):
            decode(junk, SIDE)


@pytest.mark.parametrize("warned", [True, False])
def test_a_decompression_bomb_is_a_bad_file(monkeypatch: pytest.MonkeyPatch, warned: bool) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    for side in (8, 16):  # Pillow warns of the first, and refuses the second itself
        data = encode(Image.new("L", (side, side)))
        with warnings.catch_warnings():
            warnings.simplefilter("error" if warned else "ignore", Image.DecompressionBombWarning)
            with pytest.raises(BadPictureError, match="bomb"):
                decode(data, SIDE)


# ------------------------------------------------------------------ geometry


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({(64, 64): 5}, (64, 64)),
        ({(28, 28): 5}, (28, 28)),
        ({(178, 218): 5}, (178, 218)),
        ({(512, 768): 5}, (256, 384)),
        ({(1000, 700): 5}, (364, 256)),  # 1000 * 256 / 700 = 365.7, rounded to a multiple of 4
        ({(100, 120): 1, (70, 90): 2}, (64, 64)),
        ({(900, 800): 3, (700, 2000): 3}, (256, 256)),
        ({(9, 9): 3, (7, 30): 1}, (8, 8)),
    ],
)
def test_automatic_size(sizes: dict[tuple[int, int], int], expected: tuple[int, int]) -> None:
    assert choose(sizes, Data()).size == expected


def test_sizes_asked_for() -> None:
    assert parse("64") == (64, 64)
    assert parse("48x64") == (48, 64)
    for wrong in ("big", "0", "7", "64x", "-8", "64x5000"):
        with pytest.raises(SparringError, match=r"data\.size"):
            parse(wrong)
    with pytest.raises(SparringError, match=r"--data\.size 8x8"):
        choose({(4, 4): 3}, Data())


def test_crop_takes_the_middle_without_blurring() -> None:
    pixels = noise(8, 20)
    cropped = np.asarray(fit(Image.fromarray(pixels), SIDE))
    np.testing.assert_array_equal(cropped, pixels[:, 6:14])


def test_pad_and_stretch() -> None:
    white = Image.new("RGB", (16, 8), "white")
    padded = np.asarray(fit(white, Geometry((16, 16), "pad", "")))
    assert padded[:4].max() == 0
    assert padded[4:12].min() == 255
    assert padded[12:].max() == 0
    assert np.asarray(fit(white, Geometry((16, 16), "stretch", ""))).min() == 255
    clear = np.asarray(fit(Image.new("RGBA", (16, 8), "white"), Geometry((16, 16), "pad", "")))
    assert clear[0, 0, 3] == 0


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(8, 8), (8, 24), (40, 8), (40, 64)])
def test_every_fit_gives_the_size(how: str, size: tuple[int, int]) -> None:
    for mode in ("L", "LA", "RGB", "RGBA"):
        fitted = fit(Image.new(mode, (13, 29)), Geometry(size, how, ""))
        assert (fitted.height, fitted.width, fitted.mode) == (*size, mode)


def test_large_jpegs_shrink_to_their_mean_colour() -> None:
    halves = np.zeros((1024, 2048, 3), np.uint8)
    halves[:, 1024:] = (200, 100, 50)
    small = decode(encode(Image.fromarray(halves), "JPEG", quality=95), Geometry((16, 32), "crop", "")).pixels
    assert small.shape == (16, 32, 3)
    assert small[:, :14].max() < 8
    np.testing.assert_allclose(small[:, 18:].reshape(-1, 3).mean(0), (200, 100, 50), atol=3)


# ------------------------------------------------------------------ channels


def test_channels_that_hold_both() -> None:
    assert [together(a, b) for a, b in ((1, 1), (1, 2), (1, 3), (2, 3), (3, 4), (2, 4), (1, 4))] == [
        1,
        2,
        3,
        4,
        4,
        4,
        4,
    ]


def test_to_channels_by_hand() -> None:
    half_red = np.array([[[255, 0, 0, 128]]], np.uint8)
    assert to_channels(half_red, 3).tolist() == [[[255, 127, 127]]]  # 128/255 red on white
    assert to_channels(np.array([[[255, 0, 0]]], np.uint8), 1).tolist() == [[[76]]]  # 0.299 * 255
    assert to_channels(np.array([[[9]]], np.uint8), 4).tolist() == [[[9, 9, 9, 255]]]
    assert to_channels(np.array([[[9, 7]]], np.uint8), 4).tolist() == [[[9, 9, 9, 7]]]
    assert to_channels(np.array([[[9, 0]]], np.uint8), 1).tolist() == [[[255]]]


def test_luma_is_pillows() -> None:
    pixels = noise(8, 8, 3)
    np.testing.assert_array_equal(to_channels(pixels, 1)[..., 0], np.asarray(Image.fromarray(pixels).convert("L")))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("source", [1, 2, 3, 4])
def test_widening_loses_nothing(source: int, channels: int) -> None:
    pixels = noise(6, 6, source)
    widened = to_channels(pixels, channels)
    assert widened.shape == (6, 6, channels)
    if together(source, channels) == channels:
        np.testing.assert_array_equal(fewest(widened), pixels)
