"""What can be asked of the comparison."""

import dataclasses
from typing import Any, Literal

from benchmarks.common.photographs import PhotographOptions
from benchmarks.common.record import plain_options
from xaijax.metrics import JUDGING_FILLS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(PhotographOptions):
    """Runs the packages that people use beside xaijax.

    Attributes:
        budgets: evaluations of ELIME; the goals are about the first, other methods have the last.
        samples: of lime, whose default is 1,000, and of xaijax's LIME.
        captum_samples: of captum's Lime and KernelShap where they are tuned; their default is 25.
        coalitions: evaluations of shap's Partition explainer, whose default is 500, and of shapiq's approximators.
        squares: evaluations of BinaryMasks.
        aside: photographs of the methods that no goal is about, xaijax's LIME and BinaryMasks.
        trials: photographs on which every setting of a peer runs; on the others its better one alone.
        steps: of the insertion and the deletion curve.
        fills: of the searches of xaijax's methods, the default's first; `fill` is not read.
        judged_by: fills that maps and masks are judged under; the goals are about the mean of all.
        methods: names as in the report; none for all.
        memory: whether a process is started for each method, to measure its peak.
        platform: where the peers' PyTorch runs; xaijax runs where JAX does, which must be the same.
        name: of what is written to `benchmarks/results`; None is `peers_MODEL`.
    """

    budgets: tuple[int, ...] = (120, 250, 1000)
    samples: int = 1000
    captum_samples: int = 500
    coalitions: int = 500
    squares: int = 1200
    aside: int = 8
    trials: int = 2
    steps: int = 16
    fills: tuple[str, ...] = ("blur", "black")
    judged_by: tuple[str, ...] = JUDGING_FILLS
    methods: tuple[str, ...] = ()
    memory: bool = True
    platform: Literal["cpu", "cuda"] = "cpu"
    name: str | None = None

    @property
    def stem(self) -> str:
        """Name of what is written."""
        return self.name or f"peers_{self.model}" + ("_cuda" if self.platform == "cuda" else "")

    @property
    def measured(self) -> dict[str, Any]:
        """The options that a measured row depends on."""
        names = (
            "model",
            "weights",
            "segmentation",
            "seed",
            "samples",
            "captum_samples",
            "coalitions",
            "squares",
            "steps",
        )
        names += ("fills", "judged_by", "batch", "platform")
        return {name: value for name, value in plain_options(self).items() if name in names}
