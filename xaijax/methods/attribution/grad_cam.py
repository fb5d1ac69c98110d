"""Grad-CAM: the activations of a late layer, weighted by how the class's logit changes with them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from xaijax.batch import Batch
from xaijax.classifier import Classifier, to_unit_range
from xaijax.fitness import class_logits
from xaijax.methods.attribution.base import Planned
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.attribution.top_area import keep_pixels
from xaijax.methods.pixel_based import PixelBased
from xaijax.options import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradCAM(PixelBased, Planned):
    """Weights a tap's channels by the mean gradient of the explained class's logit, adds them, and rectifies.

    The logit is the one before the softmax or sigmoid; half of a single sigmoid logit counts for "yes", and half
    against "no". The map is resized to the image bilinearly. Where it is zero, the mask takes pixels in the order of
    the sum before it was rectified. It costs 5 evaluations: the whole image, a gradient (a forward pass, and a backward
    pass of about twice its cost), and the mask. It also has the options of `PixelBased`.

    Attributes:
        tap: name of the activation, one of the classifier's `taps`; None takes the last one with height and width.
        area: share of the pixels that the mask keeps, above 0 and below 1.

    References:
        Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization (2016),
        arXiv 1610.02391.
    """

    tap: str | None = None
    area: float = option(0.3, above=0, below=1)

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """See `Planned.plan`."""
        tap, shape = find_tap(self.tap, classifier, batch.images.shape[1:])
        scenario = dataclasses.replace(self.scenario(classifier, batch), contexts=batch.image_index)
        fit = functools.partial(self._fit, classifier, tap, shape, batch.images)
        return Plan.of_gradient(scenario, fit, active=batch.active, gradients=1)

    def _fit(
        self,
        classifier: Classifier,
        tap: str,
        shape: tuple[int, ...],
        images: jax.Array,
        index: jax.Array,
        samples: Samples,
    ) -> Attribution:
        image = images[index]

        def logit(perturbation: jax.Array) -> tuple[jax.Array, jax.Array]:
            logits, activations = classifier.apply(
                classifier.params, to_unit_range(image)[None], taps=(tap,), perturbations={tap: perturbation}
            )
            logits = class_logits(classifier, logits)[0]
            other = jnp.where(samples.targets.against < 0, 0, logits[samples.targets.against])
            return logits[samples.targets.explained] - other, activations[tap]

        gradient, activation = jax.grad(logit, has_aux=True)(jnp.zeros(shape, jnp.float32))
        weights = jnp.mean(gradient, axis=(0, 1, 2), keepdims=True)
        total = jnp.sum(weights * activation.astype(jnp.float32), axis=(0, 3))
        resize = functools.partial(jax.image.resize, shape=image.shape[:2], method="bilinear")
        score = resize(jax.nn.relu(total))
        ordered = keep_pixels(jnp.where(score > 0, score, resize(total)), self.area)
        return dataclasses.replace(ordered, score=score)


def find_tap(name: str | None, classifier: Classifier, image_shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Finds the activation that Grad-CAM weights.

    Args:
        name: of the tap; None takes the last one with height and width.
        classifier: the classifier with the taps.
        image_shape: `(H, W, C)`.

    Returns:
        The tap's name, and the shape `(1, h, w, channels)` of its activation of one image.

    Raises:
        ValueError: there is no such tap.
    """
    listed = ", ".join(classifier.taps)
    if not classifier.taps:
        raise ValueError(
            "Grad-CAM weights an inner activation, and this classifier offers none; give its NNX module `tap_names` "
            "and call `taps(name, activation)` in it (see `Classifier.from_nnx`), or choose another method."
        )
    if name is not None and name not in classifier.taps:
        raise ValueError(f"tap {name!r} is no tap of this classifier; choose one of {listed}.")
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    apply = functools.partial(classifier.apply, taps=classifier.taps)
    shapes = {tap: array.shape for tap, array in jax.eval_shape(apply, classifier.params, image)[1].items()}
    spatial = [tap for tap in classifier.taps if len(shapes[tap]) == 4]
    if name is None and not spatial:
        raise ValueError(f"no tap of this classifier ({listed}) has height and width, as Grad-CAM needs it.")
    if name is not None and name not in spatial:
        offer = f"; choose one of {', '.join(spatial)}" if spatial else ""
        raise ValueError(f"tap {name!r} has shape {shapes[name]} but Grad-CAM needs [N, h, w, channels]{offer}.")
    chosen = spatial[-1] if name is None else name
    return chosen, shapes[chosen]
