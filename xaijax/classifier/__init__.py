"""The classifier contract, taps, and constructors for the modules of each library."""

from xaijax.classifier.contract import Classifier
from xaijax.classifier.forward import Apply, Dtype, FunctionApply, NNXApply, Parameters, Taps, normalise, to_unit_range

__all__ = [
    "Apply",
    "Classifier",
    "Dtype",
    "FunctionApply",
    "NNXApply",
    "Parameters",
    "Taps",
    "normalise",
    "to_unit_range",
]
