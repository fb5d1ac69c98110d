"""What Evolving Binary Masks finds, beside other methods, with the same fill: on photographs, arrays, or scenes.

    python -m benchmarks.quality.binary_masks IMAGES... --model mobilenet_v3_small --weights FILE --padding same
    python -m benchmarks.quality.binary_masks cifar10.npz --model resnet56_cifar --weights FILE
    python -m benchmarks.quality.binary_masks --model scenes-resnet

An `.npz` holds uint8 `images`; without any images scenes are generated. The smallest area with 0.9 of the probability
is that of the pixels of highest score, in 64 steps; maps and masks are judged under every judging fill beside that of
the search. Each mean over images comes with its bootstrap interval; differences are paired by image.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.photographs import PhotographOptions, choose_photographs, read_photographs
from benchmarks.common.record import machine, plain_options, read_record, told, write_record
from xaijax import ELIME, LIME, BinaryMasks, GradCAM, KernelSHAP
from xaijax.classifier import to_unit_range
from xaijax.genetic import search
from xaijax.masks.fills import make_plain_fills
from xaijax.metrics import (
    JUDGING_FILLS,
    insertion_curve,
    judge,
    judging_fills,
    mask_responses,
    smallest_area,
    transfer,
)
from xaijax.scenes.generator import generate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(PhotographOptions):
    """Measures Evolving Binary Masks and what it is compared with.

    Attributes:
        images: files, folders of them, or one `.npz`; none for scenes.
        padding: of the model.
        half: whether pixels are normalised to [-1, 1], rather than by the model's own mean and std.
        evaluations: of each method that has a choice.
        methods: what is measured; the rest of an earlier record of the same options stays, each row with its commit.
    """

    images: tyro.conf.Positional[tuple[str, ...]] = ()  # type: ignore[assignment]
    count: int = 30
    batch: int = 10
    model: str = "scenes-resnet"
    padding: str = "symmetric"
    half: bool = False
    evaluations: int = 1200
    methods: tuple[str, ...] = (
        *("binary-masks", "binary-masks, no reinforcement", "random squares"),
        *("elime", "lime", "kernel-shap", "grad-cam"),
    )


class RandomSquares(BinaryMasks):
    """Draws every generation anew, in the same stages and with the same fitness: a control that does not evolve."""

    @property
    def settings(self) -> search.Settings:
        """The search without breeding."""
        evolving = super().settings
        return dataclasses.replace(evolving, designed=evolving.generations)


def load_images(options: Options, classifier: xaijax.Classifier) -> np.ndarray:
    """Returns the images that the options name, `[B, H, W, C]` uint8."""
    if not options.images:
        keys = jax.random.split(jax.random.key(1000 + options.seed), options.count)
        return np.asarray(jax.device_get(generate(keys)).image)
    if options.images[0].endswith(".npz"):
        images = np.load(options.images[0])["images"]
        return images[np.linspace(0, len(images) - 1, options.count).round().astype(int)]
    return read_photographs(choose_photographs([Path(name) for name in options.images], options.count), classifier)


def methods(options: Options) -> dict[str, Any]:
    """Returns what is compared."""
    same = {"evaluations": options.evaluations, "fill": options.fill}
    on_segments = same | {"segmentation": options.segmentation}
    return {
        "binary-masks": BinaryMasks(**same),
        "binary-masks, no reinforcement": BinaryMasks(**same, negative_reinforcement=False),
        "random squares": RandomSquares(**same),
        "elime": ELIME(**on_segments),
        "lime": LIME(**on_segments),
        "kernel-shap": KernelSHAP(**on_segments),
        "grad-cam": GradCAM(fill=options.fill),
    }


def measure(classifier: xaijax.Classifier, images: np.ndarray, method: Any, options: Options) -> dict[str, np.ndarray]:
    """Returns the figures of every image, `[B]` each; "elsewhere" shows the image that follows."""
    parts = []
    following = np.roll(images, -1, axis=0)
    for start in range(0, len(images), options.batch):
        batch, others = images[start : start + options.batch], following[start : start + options.batch]
        began = time.perf_counter()
        found = jax.device_get(xaijax.explain(jax.random.key(options.seed), classifier, batch, method=method))
        seconds = time.perf_counter() - began
        fills = np.asarray(make_plain_fills(options.fill, to_unit_range(batch), mean=classifier.mean))
        asked = mask_responses(classifier, batch, found.mask, found.target, fills=fills)
        curve = insertion_curve(classifier, batch, found.score, found.target, steps=64, fills=fills)
        parts.append(
            {
                "keeps class": asked.keeps_class & (asked.masked >= 0.5 * asked.original),
                "inverse loses class": asked.inverse_loses_class,
                "area": asked.area,
                "probability": asked.masked,
                "cp score": found.cp_score,
                "area at 0.9": smallest_area(curve.probability, curve.fractions, found.original_probability),
                "evaluations": found.evaluations,
                "batch seconds": np.full(len(batch), seconds),
            }
            | judged(classifier, batch, others, found, options)
        )
    return {name: np.concatenate([part[name] for part in parts]).astype(float) for name in parts[0]}


def judged(
    classifier: xaijax.Classifier, batch: np.ndarray, others: np.ndarray, found: Any, options: Options
) -> dict[str, np.ndarray]:
    """Returns the figures of a batch under every judging fill, and how far its masks transfer; `[B]` each."""
    figures, holds = {}, {}
    for name in JUDGING_FILLS:
        fills = judging_fills(name, batch, mean=classifier.mean, elsewhere=others)
        own = judge(classifier, batch, found.score, found.mask, found.target, fills=fills, steps=16)
        holds[name] = own.keeps()
        figures |= {f"{name}: insertion": own.insertion, f"{name}: deletion": own.deletion}
        figures |= {f"{name}: area at 0.9": own.smallest_area, f"{name}: cp score": own.masked / found.area}
    return figures | {"transfer": transfer(holds, options.fill)}


def main(options: Options) -> None:
    facts = {"mean": (0.5,) * 3, "std": (0.5,) * 3} if options.half else {}
    classifier = xaijax.models.load(options.model, options.weights, padding=options.padding, **facts)
    images = load_images(options, classifier)
    name = f"binary_masks_{options.model}"
    figures: dict[str, Any] = {
        "options": {key: value for key, value in plain_options(options).items() if key != "methods"}
    }
    earlier = read_record(name)
    if earlier.get("options") == figures["options"]:
        figures = earlier
    for method in options.methods:
        values = measure(classifier, images, methods(options)[method], options)
        row: dict[str, Any] = {"commit": machine()["commit"]} | {key: told(value) for key, value in values.items()}
        row["area at 0.9 of each"] = [round(float(value), 4) for value in values["area at 0.9"]]
        figures[method] = row
        of_first = figures.get("binary-masks", row)["area at 0.9 of each"]
        row["area at 0.9, less binary-masks'"] = told(values["area at 0.9"] - np.array(of_first))
        shown = ("keeps class", "inverse loses class", "area", "cp score", "area at 0.9", "evaluations")
        print(method, *(f"{key} {row[key][0]}" for key in shown), sep=", ", flush=True)
        write_record(name, {key: value for key, value in figures.items() if key != "machine"}, show=False)


if __name__ == "__main__":
    main(tyro.cli(Options))
