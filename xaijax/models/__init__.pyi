from xaijax.models.catalogue import names
from xaijax.models.zoo import load, save

__all__ = ["load", "names", "save"]
