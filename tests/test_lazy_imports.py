"""The package gives each of its names when it is asked for, and none before."""

import ast
import copy
import importlib
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import xaijax
from xaijax.lazy_imports import import_on_demand
from xaijax.methods.names import METHOD_NAMES
from xaijax.methods.registry import METHODS
from xaijax.models import catalogue
from xaijax.models.architectures import ARCHITECTURES

ROOT = Path(xaijax.__file__).parent


def run(code):
    """Runs Python of its own, in which nothing of xaijax was imported yet."""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)


def stub_of(package):
    """Returns what the stub of a package imports, the module of each name, and what its `__all__` lists."""
    body = ast.parse((Path(package.__file__).parent / "__init__.pyi").read_text()).body
    imported = {alias.name: node.module for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    listed = [node.value for node in body if isinstance(node, ast.Assign)]
    return imported, ast.literal_eval(listed[0])


def test_the_stub_lists_the_names_of_the_package_each_from_its_module():
    imported, listed = stub_of(xaijax)
    assert listed == xaijax.__all__
    assert imported == xaijax.MODULES | {"models": "xaijax"}
    assert sorted(["__version__", *listed]) == dir(xaijax)


@pytest.mark.parametrize("name", xaijax.__all__)
def test_every_name_is_what_its_module_defines(name):
    found = getattr(xaijax, name)
    if name == "models":
        assert found is importlib.import_module("xaijax.models")
    else:
        assert found is getattr(importlib.import_module(xaijax.MODULES[name]), name)
        assert found.__name__ == name


def test_the_package_alone_imports_nothing_heavy():
    run("import sys, xaijax; assert not {'jax', 'flax', 'numpy'} & set(sys.modules); assert xaijax.__version__")


@pytest.mark.parametrize(
    "first",
    [
        "import xaijax.explain",
        "import xaijax.execution.host_loop, importlib; importlib.import_module('xaijax.explain')",
        "from xaijax.explain import explain",
        "from xaijax import *",
        "xaijax.explain; import xaijax.explain",
    ],
)
def test_explain_is_the_function_whoever_imported_its_module_first(first):
    run(f"import xaijax; {first}; import xaijax, inspect; assert inspect.isfunction(xaijax.explain)")


def test_a_module_of_the_package_is_there_without_an_import_of_its_own():
    run("import xaijax; assert xaijax.models.load and xaijax.micro_batches.evaluate and xaijax.metrics.overlap")


def test_an_unknown_name_is_an_attribute_error_and_a_broken_module_is_not(tmp_path, monkeypatch):
    with pytest.raises(AttributeError, match=r"module 'xaijax' has no attribute 'explian'"):
        _ = xaijax.explian
    with pytest.raises(ImportError, match="explian"):
        from xaijax import explian  # noqa: F401
    (tmp_path / "broken_room").mkdir()
    (tmp_path / "broken_room" / "__init__.py").write_text("")
    (tmp_path / "broken_room" / "door.py").write_text("import nowhere_to_be_found\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        import_on_demand("broken_room", {})("door")


@pytest.mark.parametrize("name", [name for name in xaijax.__all__ if name != "models"])
def test_public_names_can_be_pickled_and_copied(name):
    thing = getattr(xaijax, name)
    assert pickle.loads(pickle.dumps(thing)) is thing
    assert copy.deepcopy(thing) is thing
    if name in {"ELIME", "BinaryMasks", "LIME", "SLIC", "Grid", "Quickshift"}:
        assert pickle.loads(pickle.dumps(thing())) == copy.copy(thing()) == thing()


def test_names_that_are_known_without_jax_are_those_of_the_registries():
    assert tuple(METHODS) == METHOD_NAMES
    assert catalogue.NAMES == xaijax.models.names() == tuple(ARCHITECTURES)
    assert stub_of(xaijax.models)[1] == xaijax.models.__all__ == dir(xaijax.models)
    light = "xaijax.models, xaijax.models.catalogue, xaijax.methods.names, xaijax.target_words"
    run(f"import sys, {light}; assert not {{'jax', 'flax', 'numpy'}} & set(sys.modules)")


def test_the_version_stands_in_one_place():
    settings = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    assert "version" not in settings["project"]
    assert settings["tool"]["hatch"]["version"]["path"] == "xaijax/__init__.py"
