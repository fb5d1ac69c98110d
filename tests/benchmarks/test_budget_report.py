"""The budget curve's report: means over judging fills, differences paired by image, transfer."""

import pytest

from benchmarks.common.judged import transfer_of
from benchmarks.reports.budget_report import ALL, DIFFERENCE, OTHERS, VERDICT, figures, readme_table

FILLS = ("black", "blur")


def row(method, image, insertion, *, fill="blur", masked=(0.9, 0.1)):
    """Returns a row that is judged by black and by blur: `insertion` and 0.1 more."""
    judged = [{"insertion": value, "deletion": 0.5, "area": 0.25} for value in (insertion, insertion + 0.1)]
    if masked is not None:
        judged = [own | {"masked": value} for own, value in zip(judged, masked, strict=True)]
    fills = dict(zip(("black", "blur"), judged, strict=True))
    known = {"evaluations": 60, "original": 1.0, "mask_area": 0.2}
    return {"method": method, "fill": fill, "budget": 60, "image": image} | known | fills


def test_the_fill_of_the_search_counts_in_the_mean_and_not_among_the_others():
    (entry,) = figures([row("elime", str(image), 0.5) for image in range(6)], ("black", "blur"))
    assert entry[ALL]["insertion"]["mean"] == [0.55] * 3
    assert entry[OTHERS]["insertion"]["mean"] == [0.5] * 3
    assert entry["by fill"]["blur"]["insertion"] == 0.6
    assert VERDICT not in entry[ALL]["insertion"]


def test_differences_are_of_the_same_images_and_the_same_fill():
    rows = [row("elime", str(image), 0.5 + 0.05 * image) for image in range(6)]
    rows += [row("lime", str(image), 0.4 + 0.05 * image) for image in range(1, 8)]
    rows += [row("elime", "0", 0.9, fill="black"), row("rise", "0", 0.1, fill="black")]
    entries = {(entry["method"], entry["fill"]): entry for entry in figures(rows, ("black", "blur"))}
    compared = entries["lime", "blur"][OTHERS]["insertion"]
    assert compared[DIFFERENCE] == pytest.approx([-0.1] * 3)
    assert compared[VERDICT] == "worse"
    assert entries["lime", "blur"][OTHERS]["area"][VERDICT] == "no difference seen"
    assert entries["rise", "black"][OTHERS]["insertion"][DIFFERENCE] == pytest.approx([-0.8] * 3)


def test_a_mask_transfers_where_it_keeps_0_9_under_the_other_fills():
    assert transfer_of(row("elime", "a", 0.5, masked=(0.9, 0.1)), FILLS, 1.0) == 1
    assert transfer_of(row("elime", "a", 0.5, masked=(0.89, 0.95)), FILLS, 1.0) == 0
    assert transfer_of(row("elime", "a", 0.5, masked=(0.1, 0.95), fill="image-mean"), FILLS, 1.0) == 0.5
    assert transfer_of(row("lime", "a", 0.5, masked=None), FILLS, 1.0) is None


def test_the_readme_has_a_line_for_each_method_and_fill():
    entries = figures([row("elime", "a", 0.5), row("lime", "a", 0.5, masked=None)], ("black", "blur"))
    lines = readme_table({"figures": entries}, budgets=(60, 250)).splitlines()
    assert lines[2:] == [
        "| elime | blur | 1 | 0.550, 0.500, 0.250 |  | 1.00 at 0.20 |",
        "| lime | blur | 1 | 0.550, 0.500, 0.250 |  |  |",
    ]


def test_a_method_of_another_budget_is_compared_at_the_nearest_number_of_evaluations():
    rows = [row("elime", "a", 0.5) | {"budget": budget, "evaluations": budget} for budget in (60, 250, 1000)]
    rows[1]["black"] = {**rows[1]["black"], "insertion": 0.3}
    rows.append(row("converged", "a", 0.5) | {"budget": 400, "evaluations": 230})
    (entry,) = (entry for entry in figures(rows, FILLS) if entry["method"] == "converged")
    assert entry[OTHERS]["insertion"][DIFFERENCE][0] == pytest.approx(0.2)
