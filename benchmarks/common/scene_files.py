"""Scenes as image files, as many as a long run needs: `python -m benchmarks.common.scene_files FOLDER --count 2000`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import tyro
from PIL import Image

from xaijax.scenes.generator import generate

CHUNK = 256
"""Scenes generated at a time."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Writes generated scenes as PNG files.

    Attributes:
        folder: for them; is made where it is not there.
        count: scenes.
        size: of their sides in pixels: scenes have 64 and are enlarged.
        seed: of the scenes.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    count: int = 2000
    size: int = 224
    seed: int = 0


def main(options: Options) -> None:
    options.folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, options.count, CHUNK):
        places = range(start, min(start + CHUNK, options.count))
        keys = jax.vmap(lambda place: jax.random.fold_in(jax.random.key(options.seed), place))(np.arange(CHUNK) + start)
        for place, pixels in zip(places, np.asarray(generate(keys).image), strict=False):
            scene = Image.fromarray(pixels).resize((options.size, options.size), Image.Resampling.BICUBIC)
            scene.save(options.folder / f"scene-{place:06d}.png")


if __name__ == "__main__":
    main(tyro.cli(Options))
