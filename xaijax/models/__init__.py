"""Flax ports of published image classifiers, and their weights; `load` and `save` are imported on first use."""

from xaijax.lazy_imports import import_on_demand
from xaijax.models.catalogue import names

__all__ = ["load", "names", "save"]

__getattr__ = import_on_demand(__name__, {"load": "xaijax.models.zoo", "save": "xaijax.models.zoo"})


def __dir__() -> list[str]:
    return __all__
