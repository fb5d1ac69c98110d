"""xaijax explains image classifiers by evolving masks: one compiled JAX program over population and images."""

from xaijax import models
from xaijax.classifier import Classifier, Taps
from xaijax.explain import explain, image_id
from xaijax.explanation import Explanation, Status
from xaijax.masks.segmentation import SLIC, Grid
from xaijax.methods.elime import ELIME

__version__ = "0.1.0"

__all__ = [
    "ELIME",
    "SLIC",
    "Classifier",
    "Explanation",
    "Grid",
    "Status",
    "Taps",
    "explain",
    "image_id",
    "models",
]
