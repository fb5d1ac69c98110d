"""Arrays of wrong shapes are refused by the metrics, with what was given and what is needed."""

import jax
import numpy as np
import pytest

from xaijax import metrics
from xaijax.metrics.shapes import check_shapes

pytestmark = pytest.mark.quick_compile

MAP, MAPS = np.ones((16, 16), np.float32), np.ones((4, 16, 16), np.float32)
TARGETS = np.array([0, 3, 1, 2])
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": (MAP, "B H W")}, "the shape of scores is (16, 16) but must be [B, H, W]; a single one goes in as "),
        ({"scores": (MAPS[None], "B H W")}, "the shape of scores is (1, 4, 16, 16) but must be [B, H, W]."),
        (
            {"a": (MAPS, "B H W"), "b": (MAPS[:3], "N H W"), "c": (TARGETS[:3], "B")},
            "is (3,) but must be [B] with B = 4",
        ),
        ({"a": (np.ones(3), "T"), "b": (np.ones((2, 4)), "... T")}, "must be [..., T] with T = 3 as in a."),
        ({"a": (np.ones((2, 3)), "..."), "b": (np.ones(2), "...")}, "must be [...] with axes (2, 3) as in a."),
        ({"a": (np.ones((2, 1)), "..."), "b": (np.ones((3, 4)), "...")}, "with axes (2, 1) as in a."),
        ({"a": (np.ones((2, 1)), "B ..."), "b": (np.ones((2, 3)), "B ...")}, "with axes (1,) as in a."),
        ({"a": (np.ones(()), "B ...")}, "the shape of a is () but must be [B, ...]; a single one"),
    ],
)
def test_a_shape_that_does_not_fit_is_said_with_what_is_needed(given, message):
    with pytest.raises(ValueError, match=r"^the shape of ") as raised:
        check_shapes(**given)
    assert message in str(raised.value)


def test_shapes_that_fit_pass():
    check_shapes(maps=(MAPS, "B H W"), noisy=(np.ones((7, 4, 16, 16)), "N B H W"), targets=(list(TARGETS), "B"))
    check_shapes(a=(np.ones(3), "T"), b=(np.ones(3), "... T"), c=(np.ones((5, 6, 3)), "B C T"))
    check_shapes(a=(0.5, "..."), b=(np.ones((2, 3)), "..."))
    check_shapes(a=(np.ones((2, 1)), "..."), b=(np.ones((2, 3)), "..."))
    jax.eval_shape(lambda image: check_shapes(image=(image, "H W C")), np.ones((2, 3, 1)))


@pytest.mark.parametrize("metric", ["insertion_curve", "deletion_curve", "irof_curve", "road_curve", "mask_responses"])
def test_metrics_that_run_the_classifier_refuse_a_single_map_and_a_single_image(toy_classifier, toy_images, metric):
    def measure(images, maps):
        key = (KEY,) if metric == "road_curve" else ()
        segments = (maps.astype(int),) if metric == "irof_curve" else ()
        return getattr(metrics, metric)(*key, toy_classifier, images, maps, *segments, TARGETS)

    with pytest.raises(ValueError, match=r"images have shape \(16, 16, 3\) .* image\[None\]"):
        measure(toy_images[0], MAP)
    with pytest.raises(ValueError, match=r"the shape of (scores|masks) is \(16, 16\) but must be \[B, H, W\]"):
        measure(toy_images[:4], MAP)
    with pytest.raises(ValueError, match=r"with H = 16 as in images"):
        measure(toy_images[:4], MAPS[:, :8])
    with pytest.raises(ValueError, match=r"divide by 255"):
        measure(toy_images[:4].astype(np.float32), MAPS)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda: metrics.sparseness(MAP), "the shape of scores"),
        (lambda: metrics.entropy(MAP), "the shape of scores"),
        (lambda: metrics.drop(np.ones(4), np.ones((4, 4))), "the shape of masked"),
        (lambda: metrics.cp_score(np.ones(4), np.ones(3)), "the shape of area"),
        (lambda: metrics.smallest_area(np.ones((4, 5)), np.ones(4), np.ones(4)), "the shape of area"),
        (lambda: metrics.smallest_area(np.ones((4, 5)), np.ones(5), np.ones(5)), "the shape of original"),
        (lambda: metrics.hypervolume(np.ones((4, 5)), np.ones(5)), "the shape of area"),
        (lambda: metrics.area_under_curve(np.ones(5), np.ones((4, 6))), "the shape of probability"),
        (lambda: metrics.area_over_curve(np.ones(5)), "the shape of probability"),
        (lambda: metrics.comprehensiveness(np.ones(4), np.ones((5, 4))), "the shape of removed"),
        (lambda: metrics.sufficiency(np.ones(4), np.ones(4)), "the shape of kept"),
        (lambda: metrics.sensitivity(MAPS, MAPS), "the shape of noisy"),
        (lambda: metrics.spearman(MAPS, MAPS[:, :8]), "the shape of second"),
        (lambda: metrics.summarise(np.ones((4, 5))), "the shape of values"),
        (lambda: metrics.impute(np.ones((16, 16, 3)), np.ones((8, 16), bool)), "the shape of known"),
        (lambda: metrics.overlap_above_chance(np.ones((4, 16, 16))), "the shape of masks"),
        (lambda: metrics.masks_of_boxes([np.ones((4, 5))], 16, 16), "must be [N, 4]"),
    ],
)
def test_metrics_of_figures_and_maps_refuse_what_does_not_fit(measure, message):
    with pytest.raises(ValueError, match=r"^the shape of ") as raised:
        measure()
    assert message in str(raised.value)
