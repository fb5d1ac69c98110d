"""Compiled programs that outlive the process."""

import os
import subprocess
import sys

import jax
import pytest

from xaijax.runtime.cache import keep_compiled

PROGRAM = """
import sys, pathlib, jax, jax.numpy as jnp
from xaijax.runtime.cache import keep_compiled
found = []
jax.monitoring.register_event_listener(lambda name, **_: found.append(name))
print(keep_compiled(pathlib.Path(sys.argv[1])))
key = jax.random.key(0)
jax.jit(lambda x: jnp.linalg.cholesky(x @ x.T + jnp.eye(64)) @ jax.random.normal(key, x.shape))(jnp.ones((64, 64)))
print("/jax/compilation_cache/cache_hits" in found)
"""


@pytest.fixture
def untouched():
    """Puts JAX's settings back."""
    names = (
        "jax_compilation_cache_dir",
        "jax_compilation_cache_max_size",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_a_second_process_compiles_nothing_again(tmp_path):
    told = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert told[0][0] == told[1][0]
    assert told[0][1] == "False"
    assert told[1][1] == "True"


def test_it_lies_in_the_users_cache_folder(tmp_path, monkeypatch, untouched):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = keep_compiled()
    assert place.parent == tmp_path / "xaijax"
    assert jax.config.jax_compilation_cache_dir == str(place)


@pytest.mark.skipif(os.name == "nt", reason="a file stands for a folder that cannot be made")
def test_a_folder_that_cannot_be_made_is_no_error(tmp_path, untouched):
    (tmp_path / "file").touch()
    assert keep_compiled(tmp_path / "file") is None
