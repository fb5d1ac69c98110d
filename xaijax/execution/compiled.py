"""A batch as one compiled program, over the devices of the process."""

from typing import Protocol, TypeGuard

import jax

from xaijax.batch import Batch, image_keys
from xaijax.classifier import Classifier
from xaijax.execution.placement import Placement
from xaijax.execution.sharding import over_devices
from xaijax.explanation import Explanation
from xaijax.methods.searching import SearchingMethod
from xaijax.sequential import rows_in_parallel


class Method(Protocol):
    """A way to explain a batch; hashable. Its `explain` is traceable.

    A class may state what it takes in boolean class attributes:

    - `takes_segments`: whether it works on label maps; True unless stated.
    - `takes_start`: whether its search can begin from a start that the user gives; False unless stated.
    - `searches_in_generations`: whether it has the steps of a `SearchingMethod`, so that the host can drive it
      generation by generation; False unless stated.

    and in an attribute `masks_at_a_time` how many masks of an image it evaluates together, so that an accelerator's
    micro-batches fit few images.
    """

    def explain(self, keys: jax.Array, classifier: Classifier, batch: Batch, *, micro_batch: int) -> Explanation:
        """See `SearchingMethod.explain`."""
        ...


def searches_in_generations(method: object) -> TypeGuard[SearchingMethod]:
    """Returns whether a method has the steps of a `SearchingMethod`; see `Method`."""
    return getattr(method, "searches_in_generations", False)


def explain_batch(
    key: jax.Array,
    words: jax.Array,
    classifier: Classifier,
    batch: Batch,
    method: Method,
    placement: Placement,
) -> Explanation:
    """Explains a batch; traceable.

    Args:
        key: of the run.
        words: `[R, N]` uint32, see `image_keys`.
        classifier: any that can be compiled.
        batch: to explain.
        method: of the explanation.
        placement: of the work.
    """

    def explain_part(key: jax.Array, words: jax.Array, classifier: Classifier, batch: Batch) -> Explanation:
        return method.explain(image_keys(key, words), classifier, batch, micro_batch=placement.micro_batch)

    with rows_in_parallel(placement.parallel):
        return over_devices(explain_part, placement.devices, shared=(0, 2))(key, words, classifier, batch)


compiled_explain = jax.jit(explain_batch, static_argnums=(4, 5))
"""The program of a batch, for callers who keep the compiled one themselves; `explain` bounds how many it keeps."""
