"""The names of the methods on the command line; without JAX, so that it lists them at once."""

from typing import Literal, get_args

MethodName = Literal[
    "elime",
    "binary-masks",
    "lime",
    "kernel-shap",
    "rise",
    "occlusion",
    "grad-cam",
    "extremal-perturbation",
    "random-search",
    "designed-masks",
    "greedy",
    "lima",
    "two-sided",
]
METHOD_NAMES: tuple[MethodName, ...] = get_args(MethodName)
"""In the order of `registry.METHODS`, which has a class for each."""
