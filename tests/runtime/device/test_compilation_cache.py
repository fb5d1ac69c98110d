"""Compiled programs that outlive the process."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import xaijax
from xaijax.runtime.device.compilation_cache import keep_compiled

PROGRAM = """
import sys, pathlib, jax, jax.numpy as jnp
from xaijax.runtime.device.compilation_cache import keep_compiled
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
    folder = keep_compiled()
    assert folder.parent == tmp_path / "xaijax"
    assert jax.config.jax_compilation_cache_dir == str(folder)


def test_it_is_the_users_alone(tmp_path, monkeypatch, untouched):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = os.umask(0)
    try:
        folder = keep_compiled()
    finally:
        os.umask(before)
    assert [folder.stat().st_mode & 0o777 for folder in (folder.parent, folder)] == [0o700, 0o700]


@pytest.mark.parametrize("which", ["base", "folder"])
@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_folder_that_others_may_write_into_is_refused(tmp_path, monkeypatch, untouched, capsys, which, mode):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = keep_compiled()
    jax.config.update("jax_compilation_cache_dir", None)
    folder = folder.parent if which == "base" else folder
    folder.chmod(mode)
    assert keep_compiled() is None
    assert jax.config.jax_compilation_cache_dir is None
    assert f"{str(folder)!r} belongs to somebody else, or others may write into it" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_somebody_else_is_refused(tmp_path, untouched):
    (tmp_path / "cache").mkdir(mode=0o700)
    os.chown(tmp_path / "cache", 12345, 12345)
    assert keep_compiled(tmp_path / "cache") is None


def test_nothing_in_the_package_can_unpickle():
    unpicklers = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    for file in Path(xaijax.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not unpicklers & {name.partition(".")[0] for name in imported}, file
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert node.value.value is False, file


@pytest.mark.skipif(os.name == "nt", reason="a file stands for a folder that cannot be made")
def test_a_folder_that_cannot_be_made_is_no_error(tmp_path, untouched):
    (tmp_path / "file").touch()
    assert keep_compiled(tmp_path / "file") is None


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert keep_compiled() is None
