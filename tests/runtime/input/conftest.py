"""A folder of images, as inputs name them."""

import pytest
from PIL import Image

from tests.runtime.input.photographs import PIXELS


@pytest.fixture
def photos(tmp_path):
    """A folder with three images, and files that are not images."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name, pixels in zip(("a.png", "b.PNG", "deep/c.png"), PIXELS, strict=True):
        Image.fromarray(pixels).save(folder / name, "PNG")
    (folder / "notes.txt").write_text("no image")
    (folder / "odd.dat").write_bytes((folder / "a.png").read_bytes())
    (folder / "no-file.png").mkdir()
    (folder / "loop.png").symlink_to(folder / "loop.png")
    return folder
