"""What XLA compiled, read off its text: the loops of a program, how often they run, and the kernels they launch.

The text is that of `jax.stages.Compiled.as_text`, for a GPU or a TPU. A kernel is an instruction that the device runs
on its own: a fusion, a library call, a copy, ...; tuples, bitcasts and the like cost nothing.
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id"}
"""Operations that run nothing."""

COMPOSITE = {"call", "async-start"}
"""Operations that run another computation of several kernels, beside loops and conditionals."""

PREFETCHES = {"copy-start", "slice-start"}
"""Copies that a TPU makes into its on-chip memory while it computes; no kernel waits in line for them."""

SCALAR_OF_A_TPU = re.compile(r"[a-z0-9]+\[\]\{[^}]*T\(")
"""The shape of a scalar with the tiled layout of a TPU, whose scalar unit computes it beside the kernels."""

COLLECTIVES = {"all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-permute", "collective-broadcast"}
"""Operations by which devices exchange data, without the suffixes of asynchronous ones."""

_INSTRUCTION = re.compile(r"^\s+(ROOT )?%(?P<name>\S+) = (?P<rest>.*)$")
_OPERATION = re.compile(r"(?P<operation>[a-z][a-z0-9-]*)\((?P<operands>[^)]*)\)(?P<attributes>.*)$")
_COMPUTATION = re.compile(r"^(ENTRY )?%(?P<name>\S+) \(.*-> .* \{$")
_INNERMOST = re.compile(r"^.*?([^()]*)\)*$")
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


@dataclasses.dataclass(frozen=True)
class Instruction:
    """An instruction: its name, whether it is its computation's result, shape, operation, operands and attributes."""

    name: str
    is_root: bool
    shape: str
    operation: str
    operands: tuple[str, ...]
    text: str  # of the operands
    attributes: str

    @property
    def is_kernel(self) -> bool:
        """Whether the device runs it on its own."""
        if self.operation in FREE | PREFETCHES or self.operation.endswith("-done"):
            return False
        return not SCALAR_OF_A_TPU.match(self.shape)

    @property
    def op_name(self) -> str:
        """The path of what was traced, such as `jit(f)/while/body/add`; empty where XLA made it on its own."""
        found = _OP_NAME.search(self.attributes)
        return found[1] if found else ""

    def called(self, attribute: str) -> str | None:
        """Returns the computation that an attribute names, or None."""
        found = re.search(rf"\b{attribute}=%([\w.\-]+)", self.attributes)
        return found[1] if found else None

    @property
    def branches(self) -> tuple[str, ...]:
        """The computations of a conditional."""
        listed = re.search(r"branch_computations=\{([^}]*)\}", self.attributes)
        if listed:
            return tuple(re.findall(r"%([\w.\-]+)", listed[1]))
        both = (self.called("true_computation"), self.called("false_computation"))
        return tuple(name for name in both if name)

    @property
    def parts(self) -> tuple[str, ...]:
        """The computation that a call runs, of several kernels; none for other operations."""
        called = self.called("to_apply") or self.called("calls")
        return (called,) if called and self.operation in COMPOSITE else ()


@dataclasses.dataclass(frozen=True)
class Loop:
    """A loop of a program.

    Attributes:
        op_name: the path of what was traced.
        trips: how often it runs; None where it depends on the data.
        kernels: launched by one trip, loops within it and its condition included; loops of unknown trips count one.
        within: the loop that it stands in; None at the top.
    """

    op_name: str
    trips: int | None
    kernels: int
    within: "Loop | None"

    @property
    def depth(self) -> int:
        """How many loops it stands in."""
        return 0 if self.within is None else 1 + self.within.depth


class Program:
    """An optimised program.

    Args:
        text: of the HLO module.
    """

    def __init__(self, text: str) -> None:
        self.computations: dict[str, list[Instruction]] = {}
        self.entry = ""
        current: list[Instruction] = []
        for line in text.splitlines():
            if head := _COMPUTATION.match(line):
                current = self.computations.setdefault(head["name"], [])
                if line.startswith("ENTRY"):
                    self.entry = head["name"]
            elif found := _INSTRUCTION.match(line):
                current.append(_instruction(found["name"], found[1] is not None, found["rest"]))

    @functools.cached_property
    def loops(self) -> tuple[Loop, ...]:
        """All loops, those at the top first."""
        return tuple(self._loops(self.entry, None))

    @property
    def collectives(self) -> list[str]:
        """The operations by which devices exchange data."""
        return [
            instruction.operation
            for instructions in self.computations.values()
            for instruction in instructions
            if instruction.operation.removesuffix("-start").removesuffix("-done") in COLLECTIVES
        ]

    def kernels(self, computation: str | None = None, *, turns: Mapping[str, int] = MappingProxyType({})) -> int:
        """Counts the kernels that a computation launches: a loop's times its trips, those of the larger branch.

        Args:
            computation: None is the whole program.
            turns: how often to count the loops that stand in a named scope; others of unknown trips count once.
        """
        total = 0
        for instruction in self.computations[computation or self.entry]:
            if instruction.operation == "while":
                trips = turns.get(scope(instruction.op_name), self._trips(instruction) or 1)
                total += trips * self._of_body(instruction, turns)
            elif instruction.operation == "conditional":
                total += max((self.kernels(branch, turns=turns) for branch in instruction.branches), default=0)
            elif instruction.operation in COMPOSITE:
                total += sum(self.kernels(part, turns=turns) for part in instruction.parts) if instruction.parts else 1
            elif instruction.is_kernel:
                total += 1
        return total

    def bodies(self, name: str) -> list[str]:
        """Returns the bodies of the loops that stand directly in a named scope."""
        return [
            instruction.called("body") or ""
            for instructions in self.computations.values()
            for instruction in instructions
            if instruction.operation == "while" and scope(instruction.op_name) == name
        ]

    def _of_body(self, loop: Instruction, turns: Mapping[str, int] = MappingProxyType({})) -> int:
        parts = (loop.called("body"), loop.called("condition"))
        return sum(self.kernels(part, turns=turns) for part in parts if part)

    def _loops(self, computation: str, within: Loop | None) -> Iterator[Loop]:
        for instruction in self.computations[computation]:
            if instruction.operation == "while":
                loop = Loop(instruction.op_name, self._trips(instruction), self._of_body(instruction), within)
                yield loop
                yield from self._loops(instruction.called("body") or "", loop)
            for part in (*instruction.branches, *instruction.parts):
                yield from self._loops(part, within)

    def _trips(self, loop: Instruction) -> int | None:
        """Returns how often a loop runs: as XLA says, or read off a condition that counts up to a constant."""
        if said := _TRIPS.search(loop.attributes):
            return int(said[1])
        condition = {each.name: each for each in self.computations[loop.called("condition") or ""]}
        root = next(each for each in condition.values() if each.is_root)
        if root.operation != "compare" or "direction=LT" not in root.attributes:
            return None
        counter, bound = (condition[name] for name in root.operands)
        if counter.operation != "get-tuple-element" or bound.operation != "constant":
            return None
        return int(bound.text)


def scope(op_name: str) -> str:
    """Returns the named scope in which a loop with this path stands directly; `vmap(NAME)` stands for the scope."""
    return _INNERMOST.sub(r"\1", op_name.removesuffix("/while").split("/")[-1])


def _instruction(name: str, is_root: bool, rest: str) -> Instruction:
    """Reads what stands behind an instruction's name: the shape, which may be a tuple, and the operation."""
    depth = list(itertools.accumulate({"(": 1, ")": -1}.get(character, 0) for character in rest))
    end = next(place for place, character in enumerate(rest) if character == " " and depth[place] == 0)
    found = _OPERATION.match(rest[end + 1 :])
    if found is None:
        raise ValueError(f"no operation in the instruction {name} = {rest[:200]}")
    operands = tuple(re.findall(r"%([\w.\-]+)", found["operands"]))
    return Instruction(name, is_root, rest[:end], found["operation"], operands, found["operands"], found["attributes"])
