"""The public API has laws, and this enforces them."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import xaijax
from xaijax.methods.registry import METHODS

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(xaijax.__path__, "xaijax.")
    if not module.name.endswith("__main__")
]


def public(kind):
    for module in MODULES:
        for name, thing in vars(module).items():
            if kind(thing) and thing.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{module.__name__}.{name}", thing


def test_all_lists_what_is_there():
    assert sorted(xaijax.__all__) == sorted(set(xaijax.__all__))
    for name in xaijax.__all__:
        assert getattr(xaijax, name).__doc__


@pytest.mark.parametrize("name", [name for name, _ in public(inspect.isfunction)])
def test_a_key_comes_first_and_every_function_says_what_it_does(name):
    function = dict(public(inspect.isfunction))[name]
    assert inspect.getdoc(function)
    parameters = [p for p in inspect.signature(function).parameters if p not in ("settings", "self")]
    if "key" in parameters:
        assert parameters[0] == "key"


@pytest.mark.parametrize("method", [*METHODS.values(), xaijax.SLIC, xaijax.Grid])
def test_options_are_frozen_hashable_and_described(method):
    assert hash(method()) == hash(method())
    assert method() == method()
    field = dataclasses.fields(method)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(method(), field, 1)
    for field in dataclasses.fields(method):
        assert any(f"{field.name}: " in (family.__doc__ or "") for family in method.__mro__)


def test_the_package_needs_no_library_of_the_tests():
    libraries = {"torch", "skimage", "scipy", "matplotlib", "sklearn", "pytest", "tensorflow"}
    for path in Path(xaijax.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            # What PyTorch has made is exported by PyTorch.
            banned = libraries - {"torch"} if path.name == "torch_export.py" else libraries
            assert not banned & {name.split(".")[0] for name in names}, path.name
