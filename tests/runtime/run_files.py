"""The files of a run, as tests compare them."""

import jax
from PIL import Image

from xaijax.runtime.layout import RUN
from xaijax.scenes.generator import generate


def contents(folder):
    """Returns every file's bytes, without `run.json`, which holds timings."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != RUN
    }


def write_scenes(folder, count):
    """Writes scenes as PNG files, of which the eighth is damaged."""
    for index, image in enumerate(jax.device_get(generate(jax.random.split(jax.random.key(3), count))).image):
        Image.fromarray(image).save(folder / f"{index:02d}.png")
    (folder / "07.png").write_bytes(b"damaged")
