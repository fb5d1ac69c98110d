"""Metrics of explanations, one file per family.

The classifier runs in JAX, batched over images and masks; figures are computed from its outputs in NumPy, in float64.
"""

from xaijax.masks.overlap import overlap_above_chance
from xaijax.metrics.complexity import entropy, sparseness
from xaijax.metrics.confidence import (
    MaskResponses,
    cp_score,
    drop,
    gain,
    hypervolume,
    increase,
    mask_responses,
    smallest_area,
)
from xaijax.metrics.imputation import impute
from xaijax.metrics.insertion_deletion import (
    BINS,
    Curves,
    area_under_curve,
    comprehensiveness,
    deletion_curve,
    insertion_curve,
    sufficiency,
)
from xaijax.metrics.irof import area_over_curve, irof_curve
from xaijax.metrics.judging import ELSEWHERE, JUDGING_FILLS, Judgement, judge, judging_fills, transfer
from xaijax.metrics.localisation import Overlap, energy_pointing_game, masks_of_boxes, overlap, pointing_game
from xaijax.metrics.probe import blurred_fills, mean_fills
from xaijax.metrics.randomisation import (
    Cascade,
    layers_from_top,
    parameter_paths,
    randomisation_cascade,
    randomise,
    spearman,
)
from xaijax.metrics.road import road_curve
from xaijax.metrics.robustness import Explainer, noisy_scores, sensitivity
from xaijax.metrics.summary import Summary, summarise

__all__ = [
    "BINS",
    "ELSEWHERE",
    "JUDGING_FILLS",
    "Cascade",
    "Curves",
    "Explainer",
    "Judgement",
    "MaskResponses",
    "Overlap",
    "Summary",
    "area_over_curve",
    "area_under_curve",
    "blurred_fills",
    "comprehensiveness",
    "cp_score",
    "deletion_curve",
    "drop",
    "energy_pointing_game",
    "entropy",
    "gain",
    "hypervolume",
    "impute",
    "increase",
    "insertion_curve",
    "irof_curve",
    "judge",
    "judging_fills",
    "layers_from_top",
    "mask_responses",
    "masks_of_boxes",
    "mean_fills",
    "noisy_scores",
    "overlap",
    "overlap_above_chance",
    "parameter_paths",
    "pointing_game",
    "randomisation_cascade",
    "randomise",
    "road_curve",
    "sensitivity",
    "smallest_area",
    "sparseness",
    "spearman",
    "sufficiency",
    "summarise",
    "transfer",
]
