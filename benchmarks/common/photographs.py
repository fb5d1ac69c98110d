"""The photographs of a benchmark."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from xaijax import Classifier
from xaijax.models.preprocessing import preprocess
from xaijax.runtime.input.decode import read_image
from xaijax.runtime.input.listing import find_sources


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotographOptions:
    """What benchmarks over photographs share.

    Attributes:
        images: files, and folders of them.
        model: a name that `xaijax models` lists.
        weights: of the model.
        count: images at most: evenly spaced ones of those that are found.
        batch: images explained at a time.
        segmentation: of all methods over segments.
        fill: of all methods.
        seed: of all methods.
    """

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    model: str = "mobilenet_v2"
    weights: str | None = None
    count: int = 24
    batch: int = 8
    segmentation: str = "quickshift"
    fill: str = "blur"
    seed: int = 0


def command_line(options: PhotographOptions) -> list[str]:
    """Returns the arguments that give a benchmark these options, from whichever folder; None is left to its default."""
    options = dataclasses.replace(options, weights=anywhere(options.weights))
    named = [(name, value) for name, value in vars(options).items() if name != "images" and value is not None]
    paths = [str(path.resolve()) for path in options.images]
    return [*paths, *(part for name, value in named for part in (f"--{name.replace('_', '-')}", str(value)))]


def anywhere(weights: str | None) -> str | None:
    """Returns the name of weights so that it holds in every folder; `hf:` and what is no file stay as they are."""
    return str(Path(weights).resolve()) if weights and Path(weights).exists() else weights


def weights_option(weights: str | None) -> list[str]:
    """Returns the arguments that give `xaijax explain` its weights; embedded models need none."""
    name = anywhere(weights)
    return [] if name is None else ["--weights", name]


def choose_photographs(images: Sequence[Path], count: int) -> list[Path]:
    """Returns at most `count` evenly spaced ones of the images in files and folders."""
    paths = [Path(source.name) for source in find_sources(images)]
    places = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    return [paths[place] for place in places]


def followers(images: Sequence[Path]) -> dict[Path, Path]:
    """Returns for each image in files and folders the one that follows it, for the last one the first.

    It is what the judging fill "elsewhere" shows, whichever of the images are chosen.
    """
    paths = [Path(source.name) for source in find_sources(images)]
    return dict(zip(paths, [*paths[1:], paths[0]], strict=True))


def read_photographs(paths: Sequence[Path], classifier: Classifier) -> np.ndarray:
    """Returns photographs as the classifier wants them, `[B, H, W, C]` uint8."""
    return np.stack([preprocess(read_image(path), classifier) for path in paths])
