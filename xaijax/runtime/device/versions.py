"""The versions of the packages that results may depend on."""

import importlib.metadata

import xaijax


def package_versions() -> dict[str, str]:
    """Returns the versions of xaijax, installed or not, and of the packages that it computes with."""
    names = ("jax", "jaxlib", "flax", "numpy")
    return {"xaijax": xaijax.__version__, **{name: importlib.metadata.version(name) for name in names}}
