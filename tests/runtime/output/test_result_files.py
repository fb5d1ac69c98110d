"""What a line says of where its mask lies in the photograph."""

import numpy as np
import pytest

from xaijax.runtime.output.result_files import file_stem, kept_box


def mask_of(rows, columns):
    mask = np.zeros((10, 20), bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(
    ("rows", "columns", "crop", "size", "box"),
    [
        (slice(2, 5), slice(3, 9), (0, 0, 20, 10), (20, 10), (3, 2, 9, 5)),
        (slice(2, 5), slice(3, 9), (100, 50, 140, 70), (300, 200), (106, 54, 118, 60)),
        (slice(0, 10), slice(0, 20), (1, 2, 8, 9), (30, 30), (1, 2, 8, 9)),
        (slice(4, 5), slice(7, 8), (0, 0, 30, 15), (30, 15), (10, 6, 12, 8)),
        (slice(0, 10), slice(0, 20), (-5, -5, 15, 5), (10, 4), (0, 0, 10, 4)),
        (slice(0, 2), slice(0, 20), (-5, -5, 15, 5), (10, 4), None),
        (slice(0, 0), slice(0, 0), (0, 0, 20, 10), (20, 10), None),
    ],
)
def test_the_box_holds_all_kept_pixels_of_the_photograph(rows, columns, crop, size, box):
    assert kept_box(mask_of(rows, columns), crop, size) == box


@pytest.mark.parametrize("name", ["x" * 300, "жук" * 100, "\udcff" * 300])
def test_names_of_files_are_as_long_as_file_systems_take(tmp_path, name):
    stem = file_stem(7, name)
    (tmp_path / f".{stem}.png.0123456789abcdef.part").touch()
    assert stem.startswith(f"000007_{name[:40]}") or not name.isprintable()
    assert file_stem(7, "short") == "000007_short"
