"""Flax ports of published image classifiers, and their weights."""

from xaijax.models.zoo import load, names, save

__all__ = ["load", "names", "save"]
