"""xaijax explains image classifiers by evolving masks: one compiled JAX program over population and images.

Each name is imported when it is first asked for, so that `xaijax --help` does not wait for JAX. `__init__.pyi` lists
the same names for type checkers and editors.
"""

import sys
import types
from typing import Any

from xaijax.lazy_imports import import_on_demand

__version__ = "0.1.0"

MODULES = {
    "ELIME": "xaijax.methods.elime.method",
    "LIME": "xaijax.methods.attribution.lime",
    "RISE": "xaijax.methods.attribution.rise",
    "SLIC": "xaijax.masks.segmentation",
    "BinaryMasks": "xaijax.methods.binary_masks.method",
    "Classifier": "xaijax.classifier",
    "DesignedMasks": "xaijax.methods.attribution.designed_masks",
    "Explanation": "xaijax.explanation",
    "ExtremalPerturbation": "xaijax.methods.attribution.extremal_perturbation",
    "Front": "xaijax.explanation",
    "GradCAM": "xaijax.methods.attribution.grad_cam",
    "Greedy": "xaijax.methods.attribution.greedy",
    "Grid": "xaijax.masks.segmentation",
    "KernelSHAP": "xaijax.methods.attribution.kernel_shap",
    "LiMA": "xaijax.methods.attribution.lima",
    "Occlusion": "xaijax.methods.attribution.occlusion",
    "Progress": "xaijax.execution.host_loop",
    "Quickshift": "xaijax.masks.segmentation",
    "RandomSearch": "xaijax.methods.attribution.random_search",
    "Stability": "xaijax.explanation",
    "Stage": "xaijax.methods.binary_masks.stages",
    "Status": "xaijax.explanation",
    "Taps": "xaijax.classifier",
    "TwoSided": "xaijax.methods.two_sided.method",
    "explain": "xaijax.explain",
    "image_id": "xaijax.arguments",
}
"""The module of each name."""

__all__ = [*MODULES, "models"]

__getattr__ = import_on_demand(__name__, MODULES)


def __dir__() -> list[str]:
    return sorted(["__version__", *__all__])


class _Package(types.ModuleType):
    """Keeps `xaijax.explain` the function: whoever imports the module of that name binds the module to it."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.explain if name == "explain" and isinstance(value, types.ModuleType) else value)


sys.modules[__name__].__class__ = _Package
