"""Pictures: what a colour says, and that the panel holds any image and any words."""

import numpy as np
import pytest

from xaijax.report.pictures import PANEL, kept_pixels, overlay, panel, score_colours

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
GREY = IMAGE[..., :1]
MASK = np.zeros((20, 30), bool)
MASK[5:15, 10:25] = True
SCORE = np.linspace(-1, 3, 600).reshape(20, 30)


def luminance(colours):
    return colours @ np.array([0.2126, 0.7152, 0.0722])


def drawn(image=IMAGE, mask=MASK, score=SCORE, title="beagle", figures="probability 0.9"):
    return panel(image, mask, score, title=title, figures=figures)


@pytest.mark.parametrize("score", [np.zeros((4, 5)), np.full((4, 5), np.nan)], ids=["zero", "unknown"])
def test_a_map_without_contributions_is_white(score):
    np.testing.assert_array_equal(score_colours(score), np.full((4, 5, 3), 247))


def test_orange_speaks_for_and_blue_against():
    against, slightly, slightly_for, strongly = score_colours(np.array([[-2.0, -0.5, 0.5, 2.0]]))[0].astype(int)
    assert strongly[0] > strongly[2] + 100
    assert against[2] > against[0] + 100
    assert slightly_for[0] > slightly_for[2]
    assert slightly[2] > slightly[0]


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_stronger_a_contribution_the_darker_its_colour(sign):
    light = luminance(score_colours(sign * np.linspace(0, 7, 50)[None])[0])
    assert np.all(np.diff(light) < 0)
    assert light[0] - light[-1] > 100


def test_the_less_sure_a_contribution_the_paler_its_colour():
    score, std = np.ones((1, 4)), np.array([[0.0, 0.3, 1.0, 5.0]])
    light = luminance(score_colours(score, std)[0])
    assert np.all(np.diff(light) > 0)
    np.testing.assert_array_equal(score_colours(SCORE, np.zeros_like(SCORE)), score_colours(SCORE))
    assert np.all(score_colours(np.zeros((4, 5)), np.ones((4, 5))) == 247)


def test_colours_do_not_depend_on_the_scale():
    np.testing.assert_array_equal(score_colours(SCORE), score_colours(1e-6 * SCORE))


@pytest.mark.parametrize("image", [IMAGE, GREY], ids=["colour", "grey"])
def test_kept_pixels_are_the_images_and_the_others_none_of_its(image):
    shown = kept_pixels(image, MASK)
    np.testing.assert_array_equal(shown[MASK], np.broadcast_to(image, IMAGE.shape)[MASK])
    assert {tuple(pixel) for pixel in shown[~MASK]} == {(205,) * 3, (235,) * 3}


@pytest.mark.parametrize("image", [IMAGE, GREY], ids=["colour", "grey"])
def test_an_overlay_keeps_the_inside_outlines_it_and_dims_the_rest(image):
    picture = overlay(image, MASK)
    yellow = np.all(picture == (255, 221, 0), axis=2)
    np.testing.assert_array_equal(yellow[5:14, 10:24], False)  # the outline's last row and column lie within
    assert yellow[4, 10:25].all()
    assert yellow[14, 10:25].all()
    assert yellow[5:15, 9].all()
    assert yellow[5:15, 24].all()
    assert yellow.sum() == 2 * 15 + 2 * 10 - 1  # the corner is shared
    np.testing.assert_array_equal(picture[5:14, 10:24], np.broadcast_to(image, IMAGE.shape)[5:14, 10:24])
    outside = picture[~MASK & ~yellow].astype(int)
    assert np.ptp(outside) < 0.5 * np.ptp(image)


@pytest.mark.parametrize("kept", [True, False])
def test_a_mask_of_all_or_nothing_has_no_outline(kept):
    picture = overlay(IMAGE, np.full(MASK.shape, kept))
    assert not np.any(np.all(picture == (255, 221, 0), axis=2))
    assert np.array_equal(picture, IMAGE) == kept


@pytest.mark.parametrize(
    ("shape", "height"), [((20, 30, 3), 149), ((30, 20, 1), 336), ((1, 1, 3), PANEL), ((2, 900, 1), 1)]
)
def test_a_panel_has_four_pictures_in_the_images_proportions(shape, height):
    sheet = drawn(np.zeros(shape, np.uint8), np.ones(shape[:2], bool), np.zeros(shape[:2]))
    assert sheet.mode == "RGB"
    assert sheet.size == (4 * PANEL + 5 * 8, height + 52 + 24)


def test_a_panel_shows_the_original_first():
    flat = np.full_like(IMAGE, (10, 200, 30))
    first = np.asarray(drawn(flat, ~MASK))[52 : 52 + 149, 8 : 8 + PANEL]
    np.testing.assert_array_equal(first, np.broadcast_to([10, 200, 30], first.shape))


@pytest.mark.parametrize(
    "words", ["beagle, " * 100, "two\nlines", "", "кот 猫"], ids=["long", "lines", "none", "other"]
)
def test_any_words_fit_the_sheet(words):
    sheet = np.asarray(drawn(title=words, figures=words))
    assert sheet.shape == np.asarray(drawn()).shape
    paper = np.full((52, 6, 3), 255)
    np.testing.assert_array_equal(sheet[:52, -6:], paper)
    np.testing.assert_array_equal(sheet[:52, :6], paper)
    assert np.any(sheet[5:26] < 100) == (words != ""), "the title is written"


def test_a_long_title_ends_in_dots_and_a_short_one_is_whole():
    whole, cut = (np.asarray(drawn(title=words))[:28] for words in ("n" * 40, "n" * 400))
    assert np.abs(whole - 255.0).sum() > 0
    assert np.flatnonzero(np.any(whole < 200, axis=(0, 2))).max() < 600
    assert np.flatnonzero(np.any(cut < 200, axis=(0, 2))).max() > 850
