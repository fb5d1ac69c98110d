"""Reads the images of a run as the classifier wants them."""

import dataclasses
from collections.abc import Mapping

from xaijax.classifier import Classifier
from xaijax.models.preprocessing import Box, crop_box, preprocess, resized
from xaijax.runtime.input.decode import MAX_PIXELS, UnreadableImageError
from xaijax.runtime.input.sources import Identity, Source
from xaijax.runtime.job import Request

NOBODY = Identity()
"""Of an image that could not be read, and of whose file nothing is known."""


@dataclasses.dataclass(frozen=True)
class Item:
    """An image of a run, read, or the reason why it could not be."""

    index: int
    source: Source
    identity: Identity = NOBODY
    size: tuple[int, int] = (0, 0)
    crop: Box = (0, 0, 0, 0)
    request: Request | None = None
    error: str = ""


def read_item(numbered: tuple[int, Source], classifier: Classifier, targets: Mapping[str, int]) -> Item:
    """Reads a numbered image; what cannot be read is an item with an error."""
    index, source = numbered
    try:
        image, identity = source.read(classifier.channels)
        width, height = image.size if classifier.resize is None else resized(image.size, classifier.resize)
        if width * height > MAX_PIXELS:
            raise UnreadableImageError(
                f"{source.stem} of {image.width}x{image.height} pixels would be one of {width}x{height}; crop it first."
            )
    except (UnreadableImageError, OSError) as error:
        return Item(index, source, source.identify(by_content=False), error=str(error))
    target = None if source.target is None else targets[source.target]
    request = Request(preprocess(image, classifier), target, source.id)
    return Item(index, source, identity, image.size, crop_box(image.size, classifier), request)
