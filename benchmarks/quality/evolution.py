"""What evolution finds: the front against plain NSGA-II's, the default mask, the published objective, and many seeds.

    python -m benchmarks.quality.evolution IMAGES... --weights FILE
    python -m benchmarks.quality.evolution IMAGES... --model resnet18 --weights FILE --count 12 --parts front pick

Images, segments and fill are equal in each comparison; each mean over images comes with its bootstrap interval. Fronts
and masks are judged under every judging fill, not on the fill of their search alone. The record is written after each
part, and keeps parts that were measured before with the same options, each with its own commit: on two CPU cores the
stability takes an hour or more, the front half of one.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.judged import masked_probability, masks_under_fills
from benchmarks.common.photographs import PhotographOptions, choose_photographs, followers, read_photographs
from benchmarks.common.record import machine, plain_options, read_record, told, write_record
from benchmarks.quality.gap import gap_figures
from xaijax import ELIME, Explanation
from xaijax.masks import superpixels
from xaijax.metrics import JUDGING_FILLS, hypervolume, judging_fills

PLAIN = {"initial": "random", "designed": 0.0, "guided": 0.0, "brood": 1}
"""NSGA-II by the book: one random population, and children of crossover and mutation alone."""

Part = Literal["front", "pick", "probability", "stability"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(PhotographOptions):
    """Measures what evolution finds in photographs.

    Attributes:
        parts: what to measure.
        evaluations: of the front.
        plain_evaluations: of plain NSGA-II's front.
        seeds: of the stability.
        seed_images: images of the stability.
        seed_evaluations: its budgets.
    """

    count: int = 50
    batch: int = 10
    parts: tuple[Part, ...] = ("front", "pick", "probability", "stability")
    evaluations: int = 400
    plain_evaluations: int = 1000
    seeds: int = 30
    seed_images: int = 10
    seed_evaluations: tuple[int, ...] = (120, 250, 500)


@dataclasses.dataclass(frozen=True)
class Photographs:
    """What is explained: `images` `[B, H, W, C]` uint8, and the photographs that "elsewhere" shows for them."""

    classifier: xaijax.Classifier
    images: np.ndarray
    others: np.ndarray


Explain = Callable[..., Explanation]
"""`explain(method, **arguments)`, of all images."""


def explain_all(
    classifier: xaijax.Classifier, images: np.ndarray, options: Options, method: ELIME, **arguments: Any
) -> Explanation:
    """Explains images in batches of one size."""
    size = min(options.batch, len(images))
    parts = []
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        full = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        found = xaijax.explain(jax.random.key(options.seed), classifier, full, method=method, **arguments)
        used = len(batch)
        parts.append(jax.tree.map(lambda leaf, used=used: np.asarray(leaf)[:used], found))
        print(f"{min(start + size, len(images))} of {len(images)}", flush=True)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def front(explain: Explain, method: Callable[..., ELIME], options: Options, photographs: Photographs) -> dict[str, Any]:
    """Compares the hypervolume of the front with that of plain NSGA-II, at fewer evaluations, under every fill."""
    results = (
        explain(method(evaluations=options.evaluations)),
        explain(method(evaluations=options.plain_evaluations, **PLAIN)),
    )
    volumes = {"as searched": [hypervolume(result.front.probability, result.front.area) for result in results]}
    for name in JUDGING_FILLS:
        volumes[f"judged by {name}"] = [_judged_hypervolume(result, name, photographs) for result in results]
    return {
        "evaluations": [float(result.evaluations.mean()) for result in results],
        "hypervolume": {name: [told(volume) for volume in pair] for name, pair in volumes.items()},
        "ratio": {name: told(ours / plain) for name, (ours, plain) in volumes.items()},
    }


_decode = jax.jit(jax.vmap(superpixels.decode, in_axes=(None, 0)))


def _judged_hypervolume(result: Explanation, fill: str, photographs: Photographs) -> np.ndarray:
    """Returns the hypervolume of the fronts, their masks filled in another way, `[B]`."""
    fills = judging_fills(fill, photographs.images, mean=photographs.classifier.mean, elsewhere=photographs.others)
    volumes = []
    for row, (segments, genomes) in enumerate(zip(result.segments, result.front.genome, strict=True)):
        present = ~np.isnan(result.front.area[row])
        masks = np.asarray(_decode(segments, genomes))[present][None]
        own = slice(row, row + 1)
        found = masked_probability(
            photographs.classifier, photographs.images[own], masks, result.target[own], fills[own]
        )
        volumes.append(hypervolume(found[0], result.front.area[row][present]))
    return np.array(volumes)


def pick(explain: Explain, method: Callable[..., ELIME], options: Options, photographs: Photographs) -> dict[str, Any]:
    """Tells the default's mask of every image, and that of a search with black, each under every judging fill."""
    figures = {}
    for fill in dict.fromkeys((options.fill, "black")):
        result = explain(method(fill=fill))
        enough = result.probability >= 0.9 * result.original_probability
        judged = masks_under_fills(
            photographs.classifier, photographs.images, photographs.others, result, searched=fill
        )
        figures[fill] = {
            "evaluations": method().evaluations,
            "share kept at 0.9": {"as searched": told(enough.astype(float)), **judged},
            "area": told(result.area),
            "probability of each": [round(float(value), 4) for value in result.probability],
            "area of each": [round(float(value), 4) for value in result.area],
        }
    return figures


def probability(explain: Explain, method: Callable[..., ELIME], options: Options, _: Photographs) -> dict[str, Any]:
    """Tells how far the published objective raises the probability, of all and of those below 0.95."""
    result = explain(method(objective="probability", evaluations=options.plain_evaluations))
    below = result.original_probability < 0.95
    figures = {"all": gap_figures(result)}
    if below.any():
        figures["p0 below 0.95"] = gap_figures(jax.tree.map(lambda leaf: leaf[below], result))
    return figures


def stability(explain: Explain, method: Callable[..., ELIME], options: Options, _: Photographs) -> dict[str, Any]:
    """Tells how the masks of many seeds agree."""
    figures = {}
    for evaluations in options.seed_evaluations:
        result = explain(method(evaluations=evaluations), repeats=options.seeds)
        figures[str(evaluations)] = {
            "overlap above chance": told(result.stability.overlap),
            "of each": [round(float(value), 4) for value in result.stability.overlap],
            "area": told(result.stability.area.mean(axis=1)),
            "spread of the probability": told(result.stability.probability.std(axis=1)),
        }
    return figures


def main(options: Options) -> None:
    classifier = xaijax.models.load(options.model, options.weights)
    paths = choose_photographs(options.images, options.count)
    follower = followers(options.images)
    images, others = (read_photographs(each, classifier) for each in (paths, [follower[path] for path in paths]))
    photographs = Photographs(classifier, images, others)
    method = functools.partial(ELIME, segmentation=options.segmentation, fill=options.fill)
    name = f"evolution_{options.model}"
    told_options = {key: value for key, value in plain_options(options).items() if key != "parts"}
    figures: dict[str, Any] = {"options": told_options, "names": [path.name for path in paths]}
    earlier = read_record(name)
    if all(earlier.get(key) == value for key, value in figures.items()):
        figures |= {part: earlier[part] for part in get_args(Part) if part in earlier}
    measures = {"front": front, "pick": pick, "probability": probability, "stability": stability}
    for part in options.parts:
        print(part, flush=True)
        used = images[: options.seed_images] if part == "stability" else images
        explain = functools.partial(explain_all, classifier, used, options)
        figures[part] = {"commit": machine()["commit"]} | measures[part](explain, method, options, photographs)
        write_record(name, figures)


if __name__ == "__main__":
    main(tyro.cli(Options))
