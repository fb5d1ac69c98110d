"""What a search finds, to be held against the same search elsewhere: float32 on a CPU, bfloat16 on a GPU.

    JAX_PLATFORMS=cpu python -m benchmarks.quality.genomes PHOTOGRAPHS... --weights FILE --out reference.npz

`benchmarks.speed.gpu` reads the file, or makes it.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.photographs import PhotographOptions, choose_photographs, read_photographs
from xaijax.classifier import Dtype
from xaijax.metrics import overlap
from xaijax.runtime.device.cpu_devices import use_all_cores

FIELDS = ("target", "original_probability", "probability", "area", "mask", "genome", "segments")
"""Of an explanation, that are compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(PhotographOptions):
    """Writes what a search finds.

    Attributes:
        dtype: of the forward pass.
        evaluations: an image.
        out: file for it.
    """

    model: str = "resnet50"
    count: int = 4
    dtype: Dtype = "float32"
    evaluations: int = 240
    out: Path = Path("genomes.npz")


def fields(found: xaijax.Explanation) -> dict[str, np.ndarray]:
    """Returns what is compared of an explanation."""
    return {name: np.asarray(getattr(found, name)) for name in FIELDS}


def compare(found: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns how far two searches of the same images agree."""
    images = len(reference["target"])

    def share(name: str) -> float:
        same = found[name].reshape(images, -1) == reference[name].reshape(images, -1)
        return float(same.all(axis=1).mean())

    def difference(name: str) -> float:
        return float(np.nanmax(np.abs(found[name] - reference[name])))

    return {
        "images": images,
        "same_class": share("target"),
        "same_segments": share("segments"),
        "same_genome": share("genome"),
        "same_mask": share("mask"),
        "overlap": float(np.mean(overlap(found["mask"], reference["mask"]).iou)),
        "largest_difference": {name: difference(name) for name in ("original_probability", "probability", "area")},
    }


def main(options: Options) -> None:
    use_all_cores()
    classifier = xaijax.models.load(options.model, options.weights, dtype=options.dtype)
    images = read_photographs(choose_photographs(options.images, options.count), classifier)
    method = xaijax.ELIME(evaluations=options.evaluations, segmentation=options.segmentation, fill=options.fill)
    found = jax.device_get(xaijax.explain(jax.random.key(options.seed), classifier, images, method=method))
    np.savez_compressed(options.out, **fields(found))


if __name__ == "__main__":
    main(tyro.cli(Options))
