"""Figures as text."""

from xaijax.report.table import text_table


def test_every_line_has_the_width_of_the_longest_cells_and_figures_stand_at_the_right():
    text = text_table(["image", "p"], [["a.png", "0.98"], ["long name.png", "1"]])
    assert text.splitlines() == [
        "image             p",
        "-------------  ----",
        "a.png          0.98",
        "long name.png     1",
    ]


def test_a_table_without_rows_is_its_header():
    assert text_table(["image", "p"], []).splitlines() == ["image  p", "-----  -"]
