"""The base of methods without superpixels: their options, and the fills of a batch."""

import dataclasses
from typing import ClassVar

import jax

from xaijax.batch import Batch
from xaijax.classifier import Classifier, to_unit_range
from xaijax.masks.fills import Fill, check_fills, make_plain_fills
from xaijax.micro_batches import Scenario
from xaijax.options import Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelBased(Options):
    """Options of every method without superpixels.

    Attributes:
        fill: what replaces the pixels where the mask is 0: black, dataset-mean, image-mean, blur, or "#rrggbb".
    """

    takes_segments: ClassVar[bool] = False

    fill: Fill = option("blur", need="a name or a colour")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fills(self.fill, several=False)
        if self.fill == "segment-mean":
            raise ValueError("fill 'segment-mean' needs segments, which this method has not; choose blur.")

    def scenario(self, classifier: Classifier, batch: Batch) -> Scenario:
        """Makes the fills of a batch, one by one as `SuperpixelBased.segment` does; the contexts are empty."""
        with jax.named_scope("fill"):
            fills = batch.background
            if fills is None:
                fills = make_plain_fills(self.fill, to_unit_range(batch.images), mean=classifier.mean)
            return Scenario(images=batch.images, fills=fills, contexts=(), source=batch.source)
