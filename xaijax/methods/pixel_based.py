"""The base of methods without superpixels: their options, and the fills of a batch."""

import dataclasses
from typing import ClassVar

import jax

from xaijax.batch import Batch
from xaijax.classifier import Classifier, to_unit_range
from xaijax.masks.fills import Fill, check_fills, make_plain_fills, split_fill
from xaijax.micro_batches import Scenario
from xaijax.options import Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelBased(Options):
    """Options of every method without superpixels.

    Attributes:
        fill: what replaces the pixels where the mask is 0: black, dataset-mean, image-mean, blur, or "#rrggbb".
    """

    takes_segments: ClassVar[bool] = False
    takes_several_fills: ClassVar[bool] = False

    fill: Fill = option("blur", need="a name or a colour")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fills(self.fill, several=self.takes_several_fills)
        if "segment-mean" in split_fill(self.fill):
            raise ValueError("fill 'segment-mean' needs segments, which this method has not; choose blur.")

    def scenario(self, classifier: Classifier, batch: Batch) -> Scenario:
        """Makes the fills of a batch, one by one as `SuperpixelBased.segment` does; the contexts are empty."""
        with jax.named_scope("fill"):
            if batch.background is not None:
                fills = [batch.background]
            else:
                pixels = to_unit_range(batch.images)
                fills = [make_plain_fills(name, pixels, mean=classifier.mean) for name in split_fill(self.fill)]
            several = tuple(fills) if len(fills) > 1 else fills[0]
            return Scenario(images=batch.images, fills=several, contexts=(), source=batch.source)
