"""Random search: what E-LIME finds without evolution, at the same evaluations. A control."""

import dataclasses

import jax

from xaijax.classifier import Classifier
from xaijax.explanation import Explanation
from xaijax.methods.elime import ELIME
from xaijax.methods.on_segments import OnSegments, check_option


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomSearch(OnSegments):
    """Evaluates random masks of varied density, as E-LIME's first population, and returns the fittest.

    The options of `OnSegments` come first.

    Attributes:
        evaluations: forward passes an image at most, the whole image's included; at least 4.
        area_weight: see `ELIME`.
    """

    evaluations: int = 240
    area_weight: float = 0.0

    def __post_init__(self) -> None:
        OnSegments.__post_init__(self)
        check_option("evaluations", self.evaluations >= 4, self.evaluations, "at least 4")
        check_option("area_weight", self.area_weight >= 0, self.area_weight, "at least 0")

    def explain(
        self,
        keys: jax.Array,
        classifier: Classifier,
        images: jax.Array,
        targets: jax.Array,
        labels: jax.Array | None,
        active: jax.Array,
        *,
        micro_batch: int,
    ) -> Explanation:
        """Explains a batch; see `ELIME.explain`."""
        options = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        first = ELIME(population=self.evaluations - 1, generations=1, elites=0, **options)
        return first.explain(keys, classifier, images, targets, labels, active, micro_batch=micro_batch)
