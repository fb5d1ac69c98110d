"""Searches that begin and end on their own: what an image gets is what it gets in a batch, whoever ends when."""

import jax
import numpy as np
import pytest

from xaijax import ELIME, BinaryMasks, Grid, Stage, explain
from xaijax.explanation import Status
from xaijax.runtime import executor
from xaijax.runtime.device.exported_programs import traced_once
from xaijax.runtime.executor import compile_job
from xaijax.runtime.job import Job, Request

pytestmark = pytest.mark.quick_compile

FIELDS = ("genome", "mask", "target", "evaluations", "generations", "status")


def explain_in_slots(classifier, images, method, *, slots, target=-1):
    job = Job(classifier=classifier, method=method, target=target, seed=4, batch_size=slots, save=(), settings={})
    each, found, rounds = job.rows_per_image, {}, []
    for items, explained in compile_job(job)((slot, Request(image)) for slot, image in enumerate(images)):
        rounds.append(items)
        result = jax.device_get(explained.result)
        for item, slot in zip(items, explained.slots, strict=True):
            found[item] = jax.tree.map(lambda leaf, slot=slot: leaf[slot * each : (slot + 1) * each], result)
    assert sorted(found) == list(range(len(images)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *(found[item] for item in sorted(found))), rounds


@pytest.mark.slow
@pytest.mark.parametrize("target", [-1, "top2"])
def test_who_ends_early_leaves_the_slot_to_the_next_and_nobody_gets_another_result(toy_classifier, toy_images, target):
    grid = {"segmentation": Grid(4, 4), "fill": "image-mean", "max_segments": 32}
    method = ELIME(evaluations=120, population=8, patience=1, **grid)
    found, rounds = explain_in_slots(toy_classifier, toy_images, method, slots=4, target=target)
    expected = explain(jax.random.key(4), toy_classifier, toy_images, None if target == -1 else target, method=method)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field), err_msg=field)
    np.testing.assert_allclose(found.score, expected.score, atol=1e-4)
    assert len(set(np.asarray(expected.generations).tolist())) > 1
    if target == -1:
        assert rounds != [list(range(start, start + 4)) for start in range(0, len(toy_images), 4)]


@pytest.mark.slow
def test_the_stages_of_binary_masks_begin_anew_in_each_slot(toy_classifier, toy_images):
    method = BinaryMasks(evaluations=60, stages=(Stage(2, (60,)), Stage(4, (20,))), target_probability=0.4)
    found, _ = explain_in_slots(toy_classifier, toy_images, method, slots=3)
    expected = explain(jax.random.key(4), toy_classifier, toy_images, method=method)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field), err_msg=field)


@pytest.mark.slow
def test_an_image_that_cannot_be_searched_costs_its_slot_nothing(toy_classifier, toy_images):
    flat = np.zeros_like(toy_images[0])
    method = ELIME(evaluations=40, segmentation="quickshift", max_segments=32)
    found, _ = explain_in_slots(toy_classifier, [flat, *toy_images[:2]], method, slots=1)
    assert Status.ONE_SEGMENT in Status(int(found.status[0]))
    assert not any(Status(int(status)).is_failure for status in found.status[1:])


def test_the_host_asks_who_has_ended_only_once_the_next_generations_are_under_way(
    monkeypatch, toy_classifier, toy_images
):
    told = []

    class Watched:
        """A traced function whose compiled program tells of its calls."""

        def __init__(self, function, dynamic, static=(), **options):
            self.name, self.traced = function.__name__, traced_once(function, dynamic, static, **options)

        def __call__(self, *arguments):
            return self.traced(*arguments)

        def lower(self, *arguments):
            self.lowered = self.traced.lower(*arguments)
            return self

        def compile(self):
            program = self.lowered.compile()

            def call(*arguments):
                told.append(self.name)
                return program(*arguments)

            return call

    def read(ended):
        told.append("read")
        return jax.device_get(ended)

    monkeypatch.setattr(executor, "traced_once", Watched)
    monkeypatch.setattr(executor, "_read", read)
    # One objective, as XLA's CPU runtime waits for ever in the fronts of many images at once.
    method = ELIME(evaluations=60, objective="probability", segmentation=Grid(4, 4), fill="image-mean")
    settings = {"method": method, "target": -1, "seed": 4, "batch_size": 4, "save": (), "settings": {}}
    job = Job(classifier=toy_classifier, platform="gpu", **settings)
    program = compile_job(job)
    told.clear()
    requests = [(index, Request(image)) for index, image in enumerate(toy_images)]
    found = [item for items, _ in program(requests) for item in items]
    assert sorted(found) == list(range(len(toy_images)))
    searching = [event for event in told if event in ("advance", "read")]
    for place, event in enumerate(searching):
        if event == "read":
            assert searching[place - 1] == "advance"
            assert searching[:place].count("advance") > searching[: place + 1].count("read")
    # Every image is begun once, in groups of a slot each, and concluded once.
    assert told.count("begin") == len(toy_images) + 1  # and the empty slots at the start
    assert told.count("conclude") == len(toy_images)
