"""What methods without superpixels share: their options, and an image's fill."""

import dataclasses

import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier, to_unit_range
from xaijax.evaluation import Scenario
from xaijax.masks.fills import Fill, check_fill, make_fill


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnPixels:
    """Options of every method without superpixels.

    Attributes:
        fill: what stands where the mask is 0: black, dataset-mean, image-mean, blur, or "#rrggbb".
    """

    fill: Fill = "blur"

    def __post_init__(self) -> None:
        check_fill(self.fill)
        if self.fill == "segment-mean":
            raise ValueError("fill 'segment-mean' needs segments, which this method has not; choose blur.")

    def scenario(self, classifier: Classifier, images: jax.Array) -> Scenario:
        """Makes the fills of a batch `[B, H, W, C]`, image by image as `OnSegments.segment` does; no contexts."""

        def fill(image: jax.Array) -> jax.Array:
            one_segment = jnp.zeros(image.shape[:2], jnp.int32)
            pixels = to_unit_range(image)
            return make_fill(self.fill, pixels, one_segment, max_segments=1, mean=classifier.mean)

        with jax.named_scope("fill"):
            return Scenario(images=images, fills=jax.lax.map(fill, images), contexts=())
