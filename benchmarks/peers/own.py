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
    """Yields ELIME at every budget, searched with each fill, then the others: the largest budget alone."""
    make = functools.partial(_contestant, classifier, options)
    most = max(options.budgets)
    for place, fill in enumerate(options.fills):
        segmented = {"segmentation": options.segmentation, "fill": fill}
        searched = "" if place == 0 else f" ({fill})"
        for budget in options.budgets:
            yield make(f"{ELIME}{searched}", budget, xaijax.ELIME(evaluations=budget, **segmented))
        yield make(f"xaijax designed-masks{searched}", most, xaijax.DesignedMasks(evaluations=most, **segmented))
        yield make(f"xaijax lime{searched}", options.samples, xaijax.LIME(evaluations=options.samples, **segmented))
    yield make(f"xaijax greedy ({fill})", most, xaijax.Greedy(evaluations=most, **segmented))
    yield make(f"xaijax lima ({fill})", most, xaijax.LiMA(evaluations=most, **segmented))
    squares = xaijax.BinaryMasks(evaluations=options.squares, fill=options.fills[0])
    yield make(BINARY_MASKS, options.squares, squares, aside=True)
    yield make("xaijax grad-cam", 5, xaijax.GradCAM(fill=options.fills[0]), by_gradient=True)


def _contestant(
    classifier: xaijax.Classifier,
    options: Options,
    name: str,
    budget: int,
    method: Any,
    *,
    aside: bool = False,
    by_gradient: bool = False,
) -> Contestant:
    def explain(subject: Subject) -> Answer:
        images, targets = subject.pixels[None], np.array([subject.target])
        result = xaijax.explain(jax.random.key(options.seed), classifier, images, targets, method=method)
        result = jax.device_get(result)
        found = result.score[0], int(result.evaluations[0])
        return Answer(*found, result.mask[0], float(result.probability[0])) if result.mask[0].any() else Answer(*found)

    words = f"{budget} evaluations, {method.fill}"
    return Contestant(
        name, str(budget), "xaijax", words, explain, explain, fill=method.fill, aside=aside, by_gradient=by_gradient
    )


def explain_together(classifier: xaijax.Classifier, subjects: list[Subject], options: Options) -> None:
    """Explains a batch by ELIME at the budget that the goals are about."""
    method = xaijax.ELIME(evaluations=options.budgets[0], segmentation=options.segmentation, fill=options.fills[0])
    images, targets = (np.stack([getattr(each, name) for each in subjects]) for name in ("pixels", "target"))
    explain = functools.partial(xaijax.explain, jax.random.key(options.seed), classifier, method=method)
    jax.block_until_ready(explain(images, targets))
