"""Traced programs that outlive the process."""

import dataclasses
import functools
import hashlib
import os
import pickle
import time

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xaijax
from xaijax import ELIME, LIME
from xaijax.fitness import Targets
from xaijax.runtime.device import exported_programs
from xaijax.runtime.device.exported_programs import traced_once
from xaijax.runtime.executor import compile_job
from xaijax.runtime.job import Job, Request

pytestmark = pytest.mark.quick_compile

ORIGIN = "a network"


@pytest.fixture
def folder(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path / "programs"
    jax.config.update("jax_compilation_cache_dir", before)


def count_traces():
    """Returns a function as a new process would have it, and what it was traced for."""
    traced = []

    @functools.partial(jax.jit, static_argnums=1)
    def double(pair, times):
        traced.append(times)
        drawn = times * pair.against + jax.random.uniform(pair.explained)
        return dataclasses.replace(pair, against=drawn), (None, [pair])

    return double, traced


def pair_of(count):
    return Targets(explained=jax.random.key(3), against=jnp.arange(count, dtype=jnp.float32))


def test_what_was_traced_is_not_traced_again(folder):
    first, traced = count_traces()
    told, more = traced_once(first, (pair_of(4),), (2,), origin=ORIGIN)(pair_of(4))
    chex.assert_trees_all_equal(more, (None, [pair_of(4)]))
    assert traced == [2]
    again, traced = count_traces()
    chex.assert_trees_all_equal(traced_once(again, (pair_of(4),), (2,), origin=ORIGIN)(pair_of(4)), (told, more))
    assert traced == []
    chex.assert_trees_all_equal(again(pair_of(4), 2), (told, more))


def test_other_shapes_and_settings_are_traced(folder):
    for count, times in ((4, 2), (5, 2), (4, 3)):
        function, traced = count_traces()
        told, _ = traced_once(function, (pair_of(count),), (times,), origin=ORIGIN)(pair_of(count))
        assert traced == [times]
        assert told.against.shape == (count,)
    assert len(list(folder.iterdir())) == 3


def test_other_sources_versions_and_flags_are_traced(folder, monkeypatch):
    def trace():
        function, traced = count_traces()
        traced_once(function, (pair_of(4),), (2,), origin=ORIGIN)
        return len(traced)

    assert trace() == 1
    with monkeypatch.context() as changed:
        changed.setattr(exported_programs, "_code", lambda: ("other sources", "0.10.2"))
        assert trace() == 1
    with jax.default_matmul_precision("highest"):
        assert trace() == 1
    assert trace() == 0


def test_the_sources_are_all_of_the_package(tmp_path, monkeypatch):
    (tmp_path / "part").mkdir()
    for name in ("__init__.py", "part/one.py"):
        (tmp_path / name).write_text("a = 1\n")
    monkeypatch.setattr(xaijax, "__file__", str(tmp_path / "__init__.py"))
    told = []
    for text in ("a = 1\n", "a = 2\n", "a = 1\n"):
        (tmp_path / "part/one.py").write_text(text)
        exported_programs._code.cache_clear()
        told.append(exported_programs._code())
    exported_programs._code.cache_clear()
    assert told[0] == told[2] != told[1]


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_file_is_traced_again(folder, damage):
    traced_once(count_traces()[0], (pair_of(4),), (2,), origin=ORIGIN)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-7] if damage is None else damage)
    function, traced = count_traces()
    traced_once(function, (pair_of(4),), (2,), origin=ORIGIN)
    assert traced == [2]
    assert len(file.read_bytes()) >= len(whole) // 2


class Forged:
    """What runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_forged_file_runs_nothing(folder, tmp_path):
    traced_once(count_traces()[0], (pair_of(4),), (2,), origin=ORIGIN)
    (file,) = folder.iterdir()
    content = pickle.dumps((b"", Forged(f"touch {tmp_path / 'run'}")))
    file.write_bytes(hashlib.blake2b(content, digest_size=32).digest() + content)
    function, traced = count_traces()
    traced_once(function, (pair_of(4),), (2,), origin=ORIGIN)
    assert traced == [2]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["os:stat_result", "subprocess:Popen", "xaijax.cli.main:main", "xaijax.nowhere:Batch"])
def test_a_structure_names_dataclasses_of_the_package_alone(name):
    with pytest.raises((ValueError, ImportError)):
        exported_programs._structured([name, {"args": "leaf"}])


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_nothing_is_taken_from_a_folder_that_others_may_write_into(folder, mode):
    traced_once(count_traces()[0], (pair_of(4),), (2,), origin=ORIGIN)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(mode)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    function, traced = count_traces()
    traced_once(function, (pair_of(4),), (2,), origin=ORIGIN)(pair_of(4))
    assert traced == [2]
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_another_origin_is_traced(folder):
    for origin in (ORIGIN, "another network"):
        function, traced = count_traces()
        traced_once(function, (pair_of(4),), (2,), origin=origin)
        assert traced == [2]


def test_nothing_is_kept_of_the_users_code_or_where_jax_keeps_nothing(folder):
    told, _ = traced_once(count_traces()[0], (pair_of(4),), (2,), origin=None)(pair_of(4))
    assert not folder.exists()
    users = jax.jit(lambda pair, operator: operator(pair), static_argnums=1)
    traced_once(users, (pair_of(4),), (lambda pair: pair,), origin=ORIGIN)
    assert not folder.exists()
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        again, _ = traced_once(count_traces()[0], (pair_of(4),), (2,), origin=ORIGIN)(pair_of(4))
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert not folder.exists()
    chex.assert_trees_all_equal(told, again)


def test_what_jax_cannot_write_is_traced_as_it_is_called(folder, monkeypatch):
    def cannot(*_, **__):
        raise ValueError("no compatibility guarantees")

    monkeypatch.setattr(exported_programs.export, "export", cannot)
    function, traced = count_traces()
    told, _ = traced_once(function, (pair_of(4),), (2,), origin=ORIGIN)(pair_of(4))
    assert traced == [2]
    assert told.against.shape == (4,)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_no_error(folder):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file")
    told, _ = traced_once(count_traces()[0], (pair_of(4),), (2,), origin=ORIGIN)(pair_of(4))
    assert np.all(np.isfinite(told.against))


def test_what_was_used_longest_ago_is_dropped(folder, monkeypatch):
    monkeypatch.setattr(exported_programs, "MOST_FILES", 2)
    for count in (4, 5, 4, 6):
        function, traced = count_traces()
        traced_once(function, (pair_of(count),), (2,), origin=ORIGIN)
        time.sleep(0.05)  # file systems tell times in ticks
    assert len(list(folder.iterdir())) == 2
    function, traced = count_traces()
    traced_once(function, (pair_of(4),), (2,), origin=ORIGIN)
    assert traced == []


@pytest.mark.slow
@pytest.mark.parametrize("method", [ELIME(evaluations=24), LIME(evaluations=12)])
def test_a_job_gives_the_same_from_what_was_kept(folder, method, monkeypatch):
    classifier = xaijax.models.load("scenes-resnet")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    job = Job(classifier=classifier, method=method, target=-1, seed=0, batch_size=2, save=(), settings={})

    def explain(job):
        items = enumerate(Request(image) for image in pixels)
        found = [(items, jax.device_get(explained.result)) for items, explained in compile_job(job)(items)]
        jax.clear_caches()
        return found

    plain = explain(job)
    assert not folder.exists()
    first = explain(dataclasses.replace(job, origin=ORIGIN))
    name = "begin" if isinstance(method, ELIME) else "explain"
    monkeypatch.setattr(type(method), name, lambda *_, **__: pytest.fail("traced again"))
    again = explain(dataclasses.replace(job, origin=ORIGIN))
    chex.assert_trees_all_equal(plain, first, again)
