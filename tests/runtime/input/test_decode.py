"""Reading: what a person sees is what the classifier gets, and what cannot be read says why."""

import io
import os
import struct
import threading
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from xaijax.runtime.input.decode import SUFFIXES, Budget, UnreadableImageError, decode_image, read_image

RAMP = np.stack([*np.meshgrid(np.linspace(0, 255, 12), np.linspace(0, 255, 8)), np.full((8, 12), 90)], axis=-1)
RAMP = RAMP.astype(np.uint8)
PICTURE = Image.fromarray(RAMP)


def read(path, channels=3):
    return np.asarray(read_image(path, channels))


def saved(folder, picture, name="picture.png", **options):
    path = folder / name
    picture.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.png", {}), ("a.webp", {"lossless": True}), ("a.bmp", {}), ("a.tiff", {}), ("a.ppm", {}), ("a.PNG", {})],
)
def test_lossless_formats_are_read_as_they_are(tmp_path, name, options):
    np.testing.assert_array_equal(read(saved(tmp_path, PICTURE, name, **options)), RAMP)


def test_a_jpeg_is_read_nearly_as_it_is(tmp_path):
    path = saved(tmp_path, PICTURE, "a.jpg", quality=100, subsampling=0)
    np.testing.assert_allclose(read(path).astype(int), RAMP, atol=4)


def test_a_cmyk_jpeg_has_the_right_way_of_light(tmp_path):
    path = saved(tmp_path, PICTURE.convert("CMYK"), "a.jpg", quality=100, subsampling=0)
    np.testing.assert_allclose(read(path).astype(int), RAMP, atol=6)


def test_grey_and_colour_become_each_other(tmp_path):
    grey = PICTURE.convert("L")
    path = saved(tmp_path, grey)
    np.testing.assert_array_equal(read(path, 3), np.repeat(np.asarray(grey)[..., None], 3, axis=2))
    np.testing.assert_array_equal(read(saved(tmp_path, PICTURE), 1), np.asarray(grey))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(tmp_path, mode):
    picture = PICTURE.convert("L").convert(mode)
    alpha = np.full((8, 12), 255, np.uint8)
    alpha[0], alpha[1] = 0, 51
    picture.putalpha(Image.fromarray(alpha))
    grey = np.asarray(PICTURE.convert("L")).astype(float)
    expected = grey * (alpha / 255) + 255 * (1 - alpha / 255)
    found = read(saved(tmp_path, picture)).astype(float)
    np.testing.assert_allclose(found, np.repeat(expected[..., None], 3, axis=2), atol=1)


def test_a_palette_with_and_without_transparency(tmp_path):
    indices = np.array([[0, 1], [2, 0]], np.uint8)
    picture = Image.frombytes("P", (2, 2), indices.tobytes())
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    red, green, blue, white = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]
    np.testing.assert_array_equal(read(saved(tmp_path, picture)), [[red, green], [blue, red]])
    np.testing.assert_array_equal(read(saved(tmp_path, picture, transparency=1)), [[red, white], [blue, red]])


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, name):
    levels = np.array([[0, 257, 25700], [65535, 32896, 128]], np.uint16)
    picture = Image.fromarray(levels)
    assert picture.mode == "I;16"
    np.testing.assert_array_equal(read(saved(tmp_path, picture, name), 1), [[0, 1, 100], [255, 128, 0]])


def test_a_dark_picture_of_sixteen_bits_stays_dark(tmp_path):
    levels = np.array([[0, 100, 255]], np.uint16)
    np.testing.assert_array_equal(read(saved(tmp_path, Image.fromarray(levels)), 1), [[0, 0, 1]])


def test_eight_bits_held_in_thirty_two_stay_as_they_are(tmp_path):
    levels = np.array([[0, 100, 255]], np.int32)
    np.testing.assert_array_equal(read(saved(tmp_path, Image.fromarray(levels), "a.tiff"), 1), levels)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_picture_that_is_not_finite_is_refused(tmp_path, bad):
    path = saved(tmp_path, Image.fromarray(np.array([[0, bad]], np.float32)), "a.tiff")
    with pytest.raises(UnreadableImageError, match=r"^a\.tiff holds NaN or infinity; replace them\.$"):
        read_image(path)


def test_floats_of_zero_to_one_and_of_any_range(tmp_path):
    unit = np.array([[0, 0.2], [0.6, 0.8]], np.float32)
    np.testing.assert_array_equal(read(saved(tmp_path, Image.fromarray(unit), "a.tiff"), 1), [[0, 51], [153, 204]])
    wide = np.array([[-10, 0], [10, 30]], np.float32)
    np.testing.assert_array_equal(read(saved(tmp_path, Image.fromarray(wide), "a.tiff"), 1), [[0, 64], [128, 255]])


def test_a_picture_stands_as_its_camera_was_held(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # stored lying; to be turned a quarter clockwise
    path = saved(tmp_path, PICTURE, exif=turned)
    np.testing.assert_array_equal(read(path), np.rot90(RAMP, k=-1))


def test_the_first_of_several_frames_is_read(tmp_path):
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read(path), np.broadcast_to([255, 0, 0], (3, 4, 3)))


def png_that_claims(width, height):
    """A PNG of a few bytes whose header promises more pixels than fit in memory."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0")
    chunks = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, data, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def encoded(**options):
    buffer = io.BytesIO()
    PICTURE.resize((120, 80)).save(buffer, **options)
    return buffer.getvalue()


UNREADABLE = {
    "empty": (b"", r"is empty; fetch it again\."),
    "text": (b"not an image", r"is no image of JPEG, .*, PPM; convert it to PNG or JPEG\."),
    "truncated JPEG": (encoded(format="JPEG")[:-600], r"is truncated or damaged \(.+\); fetch it again\."),
    "truncated PNG": (encoded(format="PNG")[:-40], r"is truncated or damaged \(.+\); fetch it again\."),
    "a header alone": (
        encoded(format="PNG")[:40],
        r"is (truncated or damaged \(.+\); fetch it again|no image of .+)\.",
    ),
    "a bomb": (png_that_claims(40_000, 40_000), r"is larger than 178,956,970 pixels; shrink it first\."),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_says_why_and_what_to_do(tmp_path, name):
    content, message = UNREADABLE[name]
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"^picture\.png " + message + "$"):
        read_image(path)


def test_a_bomb_is_refused_even_where_pillow_would_take_it(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "bomb.png").write_bytes(png_that_claims(20_000, 10_000))
    with pytest.raises(
        UnreadableImageError, match=r"has 20000x10000 pixels, more than 178,956,970; shrink it first\.$"
    ):
        read_image(tmp_path / "bomb.png")


def test_what_is_no_file_says_so(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"^gone\.png does not exist; check the path\.$"):
        read_image(tmp_path / "gone.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UnreadableImageError, match=r"^folder\.png is a folder, not an image; name the files in it\.$"):
        read_image(tmp_path / "folder.png")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_says_so(tmp_path):
    path = saved(tmp_path, PICTURE)
    path.chmod(0)
    with pytest.raises(UnreadableImageError, match=r"^picture\.png may not be read; change its permissions\.$"):
        read_image(path)


def test_pillow_reads_every_suffix_that_a_folder_is_searched_for():
    assert Image.registered_extensions().keys() >= SUFFIXES


def test_a_format_that_starts_programs_is_no_image(tmp_path):
    (tmp_path / "a.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n0 0 8 8 rectfill\nshowpage\n%%EOF\n"
    )
    with pytest.raises(UnreadableImageError, match=r"a\.jpg is no image of JPEG, .*; convert it to PNG or JPEG\."):
        read(tmp_path / "a.jpg")


def test_a_file_of_a_terabyte_is_not_read(tmp_path):
    with (tmp_path / "a.png").open("wb") as file:  # sparse: it takes no room
        file.truncate(1 << 40)
    with pytest.raises(UnreadableImageError, match=r"a\.png has 1,099,511,627,776 bytes, more than"):
        read(tmp_path / "a.png")


def test_an_image_of_few_bytes_may_not_take_much_memory(tmp_path):
    path = saved(tmp_path, Image.new("I;16", (3000, 3000)))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    read(path, 1)
    assert tracemalloc.get_traced_memory()[1] < 8 * 3000 * 3000  # less than one copy in float64
    tracemalloc.stop()
    wide = Image.new("RGB", (1, 1))
    content = io.BytesIO()
    wide.save(content, "png")
    header = content.getvalue()[16:24]
    bomb = content.getvalue().replace(header, struct.pack(">II", 12_000, 12_000), 1)
    bomb = bomb[:29] + struct.pack(">I", zlib.crc32(bomb[12:29])) + bomb[33:]
    with pytest.raises(UnreadableImageError, match="which take 576,000,000 bytes, more than"):
        decode_image(bomb, "a.png")


def test_what_readers_decode_at_a_time_is_bounded():
    budget, together, most = Budget(10), 0, 0
    lock = threading.Lock()

    def take(size):
        nonlocal together, most
        with budget.taking(size):
            with lock:
                together += min(size, 10)
                most = max(most, together)
            time.sleep(0.002)
            with lock:
                together -= min(size, 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, [3, 4, 7, 2, 100, 5, 1, 10] * 4))
    assert most == 10
    assert together == 0


def test_a_lack_of_memory_is_no_damage(monkeypatch):
    def fails(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(Image, "open", fails)
    with pytest.raises(MemoryError):
        decode_image(b"anything", "a.png")
