from xaijax import models
from xaijax.arguments import image_id
from xaijax.classifier import Classifier, Taps
from xaijax.execution.host_loop import Progress
from xaijax.explain import explain
from xaijax.explanation import Explanation, Front, Stability, Status
from xaijax.masks.segmentation import SLIC, Grid, Quickshift
from xaijax.methods.attribution.designed_masks import DesignedMasks
from xaijax.methods.attribution.extremal_perturbation import ExtremalPerturbation
from xaijax.methods.attribution.grad_cam import GradCAM
from xaijax.methods.attribution.greedy import Greedy
from xaijax.methods.attribution.kernel_shap import KernelSHAP
from xaijax.methods.attribution.lima import LiMA
from xaijax.methods.attribution.lime import LIME
from xaijax.methods.attribution.occlusion import Occlusion
from xaijax.methods.attribution.random_search import RandomSearch
from xaijax.methods.attribution.rise import RISE
from xaijax.methods.binary_masks.method import BinaryMasks
from xaijax.methods.binary_masks.stages import Stage
from xaijax.methods.elime.method import ELIME
from xaijax.methods.two_sided.method import TwoSided

__version__: str

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
    "Greedy",
    "Grid",
    "KernelSHAP",
    "LiMA",
    "Occlusion",
    "Progress",
    "Quickshift",
    "RandomSearch",
    "Stability",
    "Stage",
    "Status",
    "Taps",
    "TwoSided",
    "explain",
    "image_id",
    "models",
]
