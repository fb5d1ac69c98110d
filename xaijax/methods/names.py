"""The methods by the names of the command line."""

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

METHODS: dict[str, type] = {
    "elime": ELIME,
    "binary-masks": BinaryMasks,
    "lime": LIME,
    "kernel-shap": KernelSHAP,
    "rise": RISE,
    "occlusion": Occlusion,
    "grad-cam": GradCAM,
    "extremal-perturbation": ExtremalPerturbation,
    "random-search": RandomSearch,
    "designed-masks": DesignedMasks,
}
