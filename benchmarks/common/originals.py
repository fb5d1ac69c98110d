"""The PyTorch originals of the ports; needs torch and torchvision's model files, and nothing of JAX."""

import sys
import types
import warnings
from typing import Any


def torch_model(name: str) -> Any:
    """Builds torchvision's network; its pure-Python files suffice, without its compiled operators."""
    stub = "torchvision._meta_registrations"
    sys.modules.setdefault(stub, types.ModuleType(stub))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchvision.models

        return getattr(torchvision.models, name)().eval()
