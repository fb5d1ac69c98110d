"""Random search: E-LIME without evolution, for the same number of evaluations. A control."""

import dataclasses

from xaijax.methods.attribution.control import Control


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomSearch(Control):
    """Evaluates distinct random masks of varied density, like those of E-LIME's first population.

    It returns the fittest. It also has the options of `Control`, `SuperpixelBased` and `AttributionMethod`.
    """
