"""Reads the images of a run and preprocesses them for the classifier."""

import dataclasses
from collections.abc import Mapping

from xaijax.classifier import Classifier
from xaijax.models.preprocessing import Box, crop_box, preprocess, resized
from xaijax.runtime.input.decode import MAX_PIXELS, UnreadableImageError
from xaijax.runtime.input.identity import Identity
from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Request

UNKNOWN = Identity()
"""The identity of an image of whose file nothing is known."""


@dataclasses.dataclass(frozen=True)
class Item:
    """An image of a run that was read, or the reason why it could not be.

    Attributes:
        index: in the input.
        source: where it was read from.
        identity: of the pixels.
        size: width and height of the photograph in pixels.
        crop: the part of the photograph that the classifier sees.
        request: what to explain; None where the image could not be read.
        error: why it could not be read, a sentence.
    """

    index: int
    source: Source
    identity: Identity = UNKNOWN
    size: tuple[int, int] = (0, 0)
    crop: Box = (0, 0, 0, 0)
    request: Request | None = None
    error: str = ""


def read_item(numbered: tuple[int, Source], classifier: Classifier, targets: Mapping[str, int]) -> Item:
    """Reads a numbered image; one that cannot be read becomes an item with an error.

    Args:
        numbered: index in the input, and source.
        classifier: that the image is preprocessed for.
        targets: the class that each target in the list of images names.
    """
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
