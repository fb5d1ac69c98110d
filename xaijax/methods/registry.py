"""The methods by their names on the command line."""

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
from xaijax.methods.elime.method import ELIME
from xaijax.methods.two_sided.method import TwoSided

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
    "greedy": Greedy,
    "lima": LiMA,
    "two-sided": TwoSided,
}
