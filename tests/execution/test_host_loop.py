"""Searches that the host drives: the same responses as the compiled loop, with progress and with black boxes."""

import itertools

import jax
import numpy as np
import pytest

from tests.conftest import CLASSES
from xaijax import ELIME, LIME, BinaryMasks, Classifier, Grid, Stage, explain
from xaijax.execution import host_loop
from xaijax.execution.program_store import Programs

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(4)
METHOD = ELIME(evaluations=60, segmentation=Grid(4, 4), fill="image-mean", max_segments=32)
FIELDS = ("genome", "mask", "target", "evaluations", "generations", "status")


def assert_same(result, expected):
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(result, field), getattr(expected, field), err_msg=field)
    for field in ("probability", "history"):
        np.testing.assert_allclose(getattr(result, field), getattr(expected, field), rtol=1e-5, err_msg=field)
    np.testing.assert_allclose(result.score, expected.score, atol=1e-4)


@pytest.mark.slow
def test_progress_comes_after_every_generation_and_changes_nothing(toy_classifier, toy_images):
    told = []
    plain = explain(KEY, toy_classifier, toy_images, method=METHOD)
    result = explain(KEY, toy_classifier, toy_images, method=METHOD, report=told.append)
    assert_same(result, plain)
    assert len(told) == int(np.max(np.asarray(plain.generations))) + 1
    assert told[-1].running == 0
    np.testing.assert_array_equal(told[-1].evaluations, plain.evaluations)
    assert all(np.all(later.evaluations >= sooner.evaluations) for sooner, later in itertools.pairwise(told))
    assert all(np.all(later.best >= sooner.best) for sooner, later in itertools.pairwise(told))


@pytest.mark.slow
@pytest.mark.parametrize(("outputs", "targets"), [("logits", "top2"), ("probabilities", None)])
def test_a_black_box_with_the_same_answers_gets_the_same_genomes(toy_classifier, toy_images, outputs, targets):
    calls = []

    def function(images):
        assert isinstance(images, np.ndarray)
        calls.append(len(images))
        logits = np.asarray(toy_classifier(images))
        return logits if outputs == "logits" else np.asarray(jax.nn.softmax(logits))

    classifier = Classifier.from_black_box(function, outputs=outputs, num_classes=CLASSES, input_size=(16, 16))
    plain = explain(KEY, toy_classifier, toy_images, targets, method=METHOD, micro_batch=16)
    result = explain(KEY, classifier, toy_images, targets, method=METHOD, micro_batch=16)
    assert_same(result, plain)
    whole = 0 if targets is None else 8  # asked beforehand, to know the classes
    if targets is None:
        assert sum(calls) == np.sum(np.asarray(result.evaluations))
    else:  # the two classes of an image share at least what is drawn before any child is bred
        assert 0.5 < (sum(calls) - whole) / np.sum(np.asarray(result.evaluations)) < 0.8
    assert max(calls) == 16


def test_the_programs_of_a_black_box_are_compiled_once(toy_classifier, toy_images, monkeypatch):
    programs = Programs(lambda: (0, 1))
    monkeypatch.setattr(host_loop, "call_compiled", programs)
    classifier = Classifier.from_black_box(
        lambda images: np.asarray(toy_classifier(images)), num_classes=CLASSES, input_size=(16, 16)
    )
    method = BinaryMasks(evaluations=40, population=6, stages=(Stage(2, (60,)), Stage(4, (20,))))
    for _ in range(2):
        result = explain(KEY, classifier, toy_images[:2], method=method)
        assert len(programs) == 7  # begin, ask, masks and their inverses, what is read of them, tell, finish
    assert np.min(np.asarray(result.generations)) >= 2


def test_a_black_box_cannot_be_compiled_and_says_so(toy_images):
    classifier = Classifier.from_black_box(lambda images: np.zeros((len(images), 3)), num_classes=3)
    with pytest.raises(ValueError, match="LIME does not search in generations"):
        explain(KEY, classifier, toy_images, method=LIME(evaluations=20))
    wrong = Classifier.from_black_box(lambda images: np.zeros(3), num_classes=3)
    with pytest.raises(ValueError, match=r"returned shape \(3,\) for 8 images"):
        explain(KEY, wrong, toy_images, method=METHOD, micro_batch=8)


def test_what_is_no_probability_is_refused(toy_images):
    percent = Classifier.from_black_box(
        lambda images: np.full((len(images), 3), 33.0), outputs="probabilities", num_classes=3
    )
    with pytest.raises(ValueError, match="from 33 to 33, which are no probabilities"):
        explain(KEY, percent, toy_images, method=METHOD)


def test_a_pytorch_module_is_a_black_box(toy_images):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 7 * 7, CLASSES)
    ).eval()

    @torch.no_grad()
    def function(images):
        return network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()

    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    classifier = Classifier.from_black_box(function, num_classes=CLASSES, mean=mean, std=std)
    result = explain(KEY, classifier, toy_images, method=METHOD)
    mask = np.asarray(result.mask)[..., None]
    pixels = toy_images / np.float32(255)
    masked = np.where(mask, pixels, pixels.mean(axis=(1, 2), keepdims=True)).astype(np.float32)
    odds = np.exp(function(((masked - np.float32(mean)) / np.float32(std)).astype(np.float32)))
    expected = (odds / odds.sum(axis=1, keepdims=True))[np.arange(8), result.target]
    np.testing.assert_allclose(result.probability, expected, rtol=1e-4)
    assert np.all(np.asarray(result.probability) >= np.asarray(result.original_probability) - 0.05)
