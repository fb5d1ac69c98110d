"""The captions of a picture."""

from xaijax.report.captions import figures, shown, title

ROW = {"label": "cat", "original_probability": 0.9, "probability": 0.1, "area": 0.2, "cp_score": 0.5, "evaluations": 60}


def test_a_contrast_names_both_classes():
    assert title(ROW) == "cat"
    assert title({**ROW, "against_label": "dog"}) == "cat rather than dog"


def test_a_mask_that_was_removed_is_said_to_be_missing():
    assert figures(ROW).startswith("probability 0.900 on the whole image, 0.100 on 20% of its pixels; CP score 0.50")
    assert (shown(ROW), shown({**ROW, "game": "deletion"})) == ("kept pixels", "removed pixels")
    by_fill = {"black": 0.1, "blur": 0.25}
    assert "0.100 on 20% of its pixels (black 0.100, blur 0.250); CP" in figures(
        {**ROW, "probability_by_fill": by_fill}
    )
    assert "0.100 without 20% of its pixels" in figures({**ROW, "game": "deletion"})
