"""The grid: equal rectangles, in order."""

import numpy as np
import pytest

from xaijax.masks.segmentation import Grid, make_segmentation


def test_a_grid_that_divides_the_image():
    labels = Grid(rows=2, columns=3)(np.zeros((4, 6, 3), np.float32))
    np.testing.assert_array_equal(labels, np.repeat(np.repeat([[0, 1, 2], [3, 4, 5]], 2, axis=0), 2, axis=1))


@pytest.mark.parametrize("shape", [(7, 5), (3, 20), (1, 1), (8, 8)])
def test_cells_are_rectangles_of_nearly_equal_sides(shape):
    grid = Grid(rows=4, columns=4)
    labels = np.asarray(grid(np.zeros((*shape, 1), np.float32)))
    assert set(labels.ravel()) == set(range(grid.label_bound(*shape)))
    heights, widths = set(), set()
    for label in range(labels.max() + 1):
        rows, columns = np.nonzero(labels == label)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width, "a cell is a full rectangle"
        heights.add(height)
        widths.add(width)
    assert max(heights) - min(heights) <= 1
    assert max(widths) - min(widths) <= 1


@pytest.mark.parametrize("options", [{"rows": 0}, {"columns": -1}, {"rows": 2.5}])
def test_bad_options_say_what_is_needed(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))} is .* but must be"):
        Grid(**options)


def test_shorthands():
    assert make_segmentation("grid") == Grid()
    own = Grid(rows=2)
    assert make_segmentation(own) is own
    with pytest.raises(ValueError, match="segmentation 'tiles' is unknown; choose one of quickshift, slic, grid"):
        make_segmentation("tiles")
