"""xaijax explains image classifiers by evolving masks: one compiled JAX program over population and images."""

from xaijax import models
from xaijax.classifier import Classifier, Taps
from xaijax.explain import explain
from xaijax.explanation import Explanation, Front, Stability, Status
from xaijax.masks.segmentation import SLIC, Grid, Quickshift
from xaijax.methods.arguments import image_id
from xaijax.methods.binary_masks import BinaryMasks
from xaijax.methods.designed_masks import DesignedMasks
from xaijax.methods.elime import ELIME
from xaijax.methods.extremal_perturbation import ExtremalPerturbation
from xaijax.methods.grad_cam import GradCAM
from xaijax.methods.kernel_shap import KernelSHAP
from xaijax.methods.lime import LIME
from xaijax.methods.occlusion import Occlusion
from xaijax.methods.random_search import RandomSearch
from xaijax.methods.rise import RISE
from xaijax.methods.stages import Stage
from xaijax.methods.steps import Progress

__version__ = "0.1.0"

__all__ = [
    "ELIME",
    "LIME",
    "RISE",
    "SLIC",
    "BinaryMasks",
    "Classifier",
    "DesignedMasks",
    "Explanation",
    "ExtremalPerturbation",
    "Front",
    "GradCAM",
    "Grid",
    "KernelSHAP",
    "Occlusion",
    "Progress",
    "Quickshift",
    "RandomSearch",
    "Stability",
    "Stage",
    "Status",
    "Taps",
    "explain",
    "image_id",
    "models",
]
