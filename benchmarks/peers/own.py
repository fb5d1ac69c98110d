"""The methods of xaijax that stand beside the peers: one image a call, as these are used."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import xaijax
from benchmarks.peers.contest import Answer, Contestant, Subject
from benchmarks.peers.options import Options

ELIME = "xaijax elime"
BINARY_MASKS = "xaijax binary-masks"


def own_methods(classifier: xaijax.Classifier, options: Options) -> Iterator[Contestant]:
    """Yields ELIME at every budget, LIME in the same kernel, Grad-CAM and BinaryMasks."""
    segmented = {"segmentation": options.segmentation, "fill": options.fill}
    for budget in options.budgets:
        yield _contestant(classifier, options, ELIME, budget, xaijax.ELIME(evaluations=budget, **segmented))
    lime = xaijax.LIME(evaluations=options.samples, **segmented)
    yield _contestant(classifier, options, "xaijax lime", options.samples, lime, aside=True)
    squares = xaijax.BinaryMasks(evaluations=options.squares, fill=options.fill)
    yield _contestant(classifier, options, BINARY_MASKS, options.squares, squares, aside=True)
    yield _contestant(classifier, options, "xaijax grad-cam", 5, xaijax.GradCAM(fill=options.fill))


def _contestant(
    classifier: xaijax.Classifier, options: Options, name: str, budget: int, method: Any, *, aside: bool = False
) -> Contestant:
    def explain(subject: Subject) -> Answer:
        images, targets = subject.pixels[None], np.array([subject.target])
        result = xaijax.explain(jax.random.key(options.seed), classifier, images, targets, method=method)
        result = jax.device_get(result)
        mask = float(result.area[0]), float(result.probability[0])
        return Answer(result.score[0], int(result.evaluations[0]), mask)

    words = f"{budget} evaluations" + (f", {options.fill}" if name != "xaijax grad-cam" else "")
    kinds = {"aside": aside, "by_gradient": name == "xaijax grad-cam"}
    return Contestant(name, str(budget), "xaijax", words, explain, explain, **kinds)


def explain_together(classifier: xaijax.Classifier, subjects: list[Subject], options: Options) -> None:
    """Explains a batch by ELIME at the budget that the goals are about."""
    method = xaijax.ELIME(evaluations=options.budgets[0], segmentation=options.segmentation, fill=options.fill)
    images, targets = (np.stack([getattr(each, name) for each in subjects]) for name in ("pixels", "target"))
    explain = functools.partial(xaijax.explain, jax.random.key(options.seed), classifier, method=method)
    jax.block_until_ready(explain(images, targets))
