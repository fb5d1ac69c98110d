"""The arrows between the parts of the package point downward; docs/architecture.md draws them."""

import ast
import functools
import graphlib
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import xaijax

ROOT = Path(xaijax.__file__).parent

LAYERS = (
    {"cli"},
    {"runtime"},
    {"explain"},
    {"arguments"},
    {"execution"},
    {"methods"},
    {"batch"},
    {"micro_batches"},
    {"fitness", "genetic", "masks"},
    {"classifier", "explanation"},
)
"""The main line, from the top: a part imports from those below it, never from those beside it."""

GROUND = {
    "atomic_files",
    "convolution",
    "lazy_imports",
    "options",
    "pairwise",
    "printable",
    "sequential",
    "target_words",
    "threefry",
}
"""What every part may import; it imports nothing of the package."""

NARROW = {
    "genetic": set(),  # it knows neither images nor classifiers
    "masks": set(),
    "models": {"classifier"},
    "scenes": {"classifier", "models"},
    "metrics": {"arguments", "classifier", "masks", "micro_batches"},
    "report": set(),  # data in, HTML out
}
"""Parts that import no more than these, and the ground. Those that are in no layer stand beside `explain`: only
`runtime` and `cli` import them, and who is named here."""

RUNTIME_LAYERS = (
    {"ray"},
    {"run"},
    {"pipeline", "resume"},
    {"executor", "targets"},
    {"output"},
    {"input"},
    {"job", "device", "signals"},
    {"layout", "partition", "prefetch", "progress"},
)
"""The same within `runtime`."""


def layers_below(layers: Sequence[set[str]]) -> dict[str, set[str]]:
    """Returns the parts that stand below each one."""
    return {part: set().union(*layers[index + 1 :]) for index, layer in enumerate(layers) for part in layer}


BELOW = layers_below(LAYERS)
BESIDE = NARROW.keys() - BELOW.keys()
MAY_IMPORT = (
    BELOW
    | {"runtime": BELOW["runtime"] | BESIDE, "cli": BELOW["cli"] | BESIDE}
    | NARROW
    | {part: set() for part in GROUND}
)


def modules_of(root: Path) -> dict[str, ast.Module]:
    """Returns the modules under a folder, without their stubs, by name."""
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text())
    return found


def imports_of(tree: ast.Module, modules: Mapping[str, object], package: str) -> Iterator[str]:
    """Yields the modules of a package that a module imports, in functions and for type checkers alike."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not followed"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else str(node.module) for name in names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == package)


def graph_of(root: Path) -> dict[str, set[str]]:
    """Returns what each module under a folder imports from there."""
    modules = modules_of(root)
    return {name: set(imports_of(tree, modules, root.name)) for name, tree in modules.items()}


def part_of(module: str, depth: int = 1) -> str | None:
    """Returns the part that a module belongs to, or with depth 2 the part of that part; None for what holds them."""
    parts = module.split(".")
    return parts[depth] if len(parts) > depth else None


def upward(graph: Mapping[str, set[str]], may_import: Mapping[str, set[str]], depth: int = 1) -> list[str]:
    """Returns the imports of one part in another that may not have them, as sentences."""
    found = []
    for module, imported in graph.items():
        for other in imported:
            part, target = part_of(module, depth), part_of(other, depth)
            if part is None or target is None or part == target:
                continue
            if target not in may_import[part] | (GROUND if depth == 1 else set()):
                found.append(f"{module} imports {other}, and {part} stands not above {target}")
    return sorted(found)


GRAPH = graph_of(ROOT)


def test_every_part_has_its_layer():
    assert {part_of(module) for module in GRAPH} - {None} == MAY_IMPORT.keys()
    inside = {part_of(module, 2) for module in GRAPH if module.startswith("xaijax.runtime.")}
    assert inside == set().union(*RUNTIME_LAYERS)


def test_no_part_imports_one_that_stands_above_or_beside_it():
    assert upward(GRAPH, MAY_IMPORT) == []


def test_no_part_of_runtime_imports_one_that_stands_above_or_beside_it():
    inside = {
        module: {other for other in imported if other.startswith("xaijax.runtime.")}
        for module, imported in GRAPH.items()
        if module.startswith("xaijax.runtime.")
    }
    assert upward(inside, layers_below(RUNTIME_LAYERS), depth=2) == []


def test_no_modules_import_each_other_in_a_circle_not_even_in_functions():
    graphlib.TopologicalSorter(GRAPH).prepare()  # which raises CycleError and names the circle


def test_parts_use_each_other_by_module_and_the_package_for_its_version_alone():
    """Names that the package imports when they are asked for would hide an arrow."""
    for module, tree in modules_of(ROOT).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "xaijax":
                assert node.attr in ("__version__", "__file__"), f"{module} uses xaijax.{node.attr}"
            if isinstance(node, ast.ImportFrom) and node.module == "xaijax":
                assert all(f"xaijax.{alias.name}" in GRAPH for alias in node.names), f"{module} imports from xaijax"


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("genetic/archive.py", "from xaijax.classifier import Classifier"),
        ("methods/surrogate.py", "import xaijax.execution.slots"),
        ("execution/slots.py", "def late():\n    from xaijax import explain"),
        ("metrics/suite.py", "if False:\n    from xaijax.runtime.job import Job"),
        ("report/captions.py", "from xaijax import metrics"),
        ("sequential.py", "from xaijax.masks import fills"),
        ("explain.py", "from xaijax.models.zoo import load"),
    ],
)
def test_an_import_that_goes_upward_is_noticed(module, line):
    modules = modules_of(ROOT)
    name = "xaijax." + module.removesuffix(".py").replace("/", ".")
    added = {name: set(imports_of(ast.parse(line), modules, "xaijax"))}
    assert len(upward(added, MAY_IMPORT)) == 1


def is_there(name):
    """Returns whether a dotted name below the package stands for a module, or for something in one."""
    words = name.split(".")
    depth = max(depth for depth in range(1, len(words) + 1) if ".".join(["xaijax", *words[:depth]]) in GRAPH)
    module = importlib.import_module(".".join(["xaijax", *words[:depth]]))
    return functools.reduce(lambda thing, word: getattr(thing, word, None), words[depth:], module) is not None


def test_the_page_names_what_is_there():
    page = (ROOT.parent / "docs" / "architecture.md").read_text()
    quoted = re.findall(r"`([^`\s]+)`", page)
    names = [word for word in quoted if re.fullmatch(r"\w+(\.\w+)+", word) and word.split(".")[0] in MAY_IMPORT]
    names = [name for name in names if not name.endswith(".py")]
    assert len(names) > 20
    for name in names:
        assert is_there(name), f"docs/architecture.md names {name}, which is not there"
    files = [word for word in quoted if word.endswith(".py") and "NAME" not in word and "/" in word]
    assert len(files) > 8
    for file in files:
        assert any((folder / file).exists() for folder in (ROOT, ROOT.parent)), f"docs/architecture.md names {file}"
    drawn = set(re.findall(r"\w+", page.split("```")[1]))
    assert MAY_IMPORT.keys() <= drawn
