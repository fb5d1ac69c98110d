"""Each objective's search, generation by generation, against what it found when it was last changed on purpose."""

import json

import numpy as np
import pytest

from tests.methods.golden_searches import OBJECTIVES, PATH, as_golden, search

pytestmark = pytest.mark.quick_compile


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_search_finds_what_it_found(objective):
    found, golden = as_golden(search(objective)), json.loads(PATH.read_text())[objective]
    for image, expected in zip(found, golden, strict=True):
        for field in ("history", "probability"):
            np.testing.assert_allclose(image.pop(field), expected.pop(field), atol=1e-4, err_msg=field)
        assert image == expected
