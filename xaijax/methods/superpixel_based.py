"""The base of methods over superpixels: their options, and the segments and fills of a batch."""

import dataclasses
import functools
from typing import ClassVar, Literal

import chex
import jax
import jax.numpy as jnp

from xaijax.batch import Batch
from xaijax.classifier import Classifier, to_unit_range
from xaijax.masks import superpixels
from xaijax.masks.fills import Fill, check_fills, make_fill, split_fill
from xaijax.masks.segmentation import Segmentation, make_segmentation
from xaijax.micro_batches import Scenario
from xaijax.options import Options, option
from xaijax.sequential import map_rows


@chex.dataclass(frozen=True)
class Segmented:
    """A batch of images with their segments."""

    scenario: Scenario  # its contexts are the segments, [B, H, W] int32 in [0, max_segments)
    length: jax.Array  # [B] int32, number of segments of each image
    merged: jax.Array  # [B] bool, whether segments were merged because there were more than max_segments

    @property
    def segments(self) -> jax.Array:
        """`[B, H, W]` int32 in [0, max_segments)."""
        return self.scenario.contexts


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuperpixelBased(Options):
    """Options of every method over superpixels.

    Attributes:
        segmentation: `Quickshift`, `SLIC`, `Grid`, or the shorthand "quickshift", "slic" or "grid"; ignored if
            `explain` is given segments.
        max_segments: segments that a genome has room for, at least 2; a finer label map is merged (`Status.MERGED`).
        fill: what replaces the pixels where the mask is 0: black, dataset-mean, image-mean, segment-mean, blur, or
            "#rrggbb".
    """

    takes_segments: ClassVar[bool] = True
    takes_several_fills: ClassVar[bool] = False

    segmentation: Segmentation | Literal["quickshift", "slic", "grid"] = "quickshift"
    max_segments: int = option(128, at_least=2)
    fill: Fill = option("blur", need="a name or a colour")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fills(self.fill, several=self.takes_several_fills)
        make_segmentation(self.segmentation)

    def segment(self, classifier: Classifier, batch: Batch) -> Segmented:
        """Segments the images of a batch and makes their fills, for each row of the batch.

        Images are processed one by one: XLA chooses its matrix kernels by size, and the last bits of an image's
        segments and fill must not depend on the number of images.

        Args:
            classifier: its data's mean is one of the fills.
            batch: the images; its label maps, if any, take the place of the segmentation.
        """
        with jax.named_scope("segment"):
            segments, length, merged = map_rows(
                lambda of_image: self._segments(*of_image), (batch.images, batch.labels, batch.has_image)
            )
        with jax.named_scope("fill"):
            fills = tuple(self._fill(name, classifier, batch, segments) for name in split_fill(self.fill))
        segments, length, merged = batch.of_rows((segments, length, merged))
        several = fills if len(fills) > 1 else fills[0]
        scenario = Scenario(images=batch.images, fills=several, contexts=segments, source=batch.source)
        return Segmented(scenario=scenario, length=length, merged=merged)

    def _fill(self, name: str, classifier: Classifier, batch: Batch, segments: jax.Array) -> jax.Array:
        if batch.background is not None:
            return batch.background
        fill = functools.partial(make_fill, name, max_segments=self.max_segments, mean=classifier.mean)
        return map_rows(lambda pair: fill(to_unit_range(pair[0]), pair[1]), (batch.images, segments))

    def _segments(
        self, image: jax.Array, labels: jax.Array | None, has_image: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        height, width = image.shape[:2]

        def segmented(image: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            if labels is not None:
                return superpixels.limit_segments(labels, max_segments=self.max_segments, bound=height * width)
            segmentation = make_segmentation(self.segmentation)
            bound = segmentation.label_bound(height, width)
            return superpixels.limit_segments(
                segmentation(to_unit_range(image)), max_segments=self.max_segments, bound=bound
            )

        def nothing(image: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            return jnp.zeros((height, width), jnp.int32), jnp.int32(1), jnp.bool_(False)

        return jax.lax.cond(has_image, segmented, nothing, image)
