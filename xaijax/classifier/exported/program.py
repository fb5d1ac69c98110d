"""A network that was exported from another library: its steps, as data, and the forward pass that takes them in JAX."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from xaijax.classifier.exported.operators import OPERATORS, Tensor, promoting
from xaijax.classifier.forward import Forward, Parameters, Taps
from xaijax.convolution import CACHED_FLOATS


@dataclasses.dataclass(frozen=True)
class Step:
    """The result of an earlier step, as an argument of another one."""

    number: int


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter, as an argument of a step."""

    name: str


@dataclasses.dataclass(frozen=True)
class Call:
    """A step: an operator and what it is called with.

    Attributes:
        operator: its name, see `OPERATORS`.
        arguments: `Step`, `Parameter`, numbers, words, None, and tuples of these.
        keywords: pairs of a name and such a value.
    """

    operator: str
    arguments: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...] = ()


@dataclasses.dataclass(frozen=True)
class Program:
    """The steps of a network on one image `[1, C, H, W]`; hashable, and equal for equal networks.

    Attributes:
        calls: in their order; the image is the result of step 0, the first call that of step 1.
        output: the step that returns the logits `[1, K]`.
        taps: pairs of the name of a part of the network, and the step that returns its activation `[1, C, H, W]`.
    """

    calls: tuple[Call, ...]
    output: int
    taps: tuple[tuple[str, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class ProgramApply(Forward):
    """The forward pass of an exported network."""

    program: Program

    def logits(self, params: Parameters, images: jax.Array, taps: Taps) -> jax.Array:
        """See `Forward`; on CPU one image at a time as far as its arrays outgrow the cache."""
        wanted = [(name, step) for name, step in self.program.taps if name in taps.names or name in taps.perturbations]
        tapped: dict[int, list[str]] = {}
        for name, step in wanted:
            tapped.setdefault(step, []).append(name)
        perturbations = {name: taps.perturbations[name] for name, _ in wanted if name in taps.perturbations}
        last = len(self.program.calls)
        cut = 0 if tapped else self._cut(params, images)

        def of_image(live: Any, perturbations: Mapping[str, jax.Array]) -> tuple[jax.Array, Mapping[str, jax.Array]]:
            recorder = Taps(taps.names, {name: value[None] for name, value in perturbations.items()})
            results = self._run(params, live, cut, last, recorder, tapped)
            logits: jax.Array = results[self.program.output].plain.reshape(-1)
            return logits, {name: value[0] for name, value in recorder.activations.items()}

        def of_first(image: jax.Array) -> Any:
            return self._run(params, {0: Tensor(image[None], is_last=True)}, 0, cut, Taps(), {})

        live = lax.platform_dependent(images, cpu=lambda x: lax.map(of_first, x), default=jax.vmap(of_first))
        logits, activations = jax.vmap(of_image)(live, perturbations)
        taps.activations.update(activations)
        return logits

    def tap_names(self, params: Parameters) -> tuple[str, ...]:
        """See `Forward`."""
        return tuple(name for name, _ in self.program.taps)

    def _cut(self, params: Parameters, images: jax.Array) -> int:
        """Returns the last step of an array too large for a CPU's caches; 0 if there is none."""
        sizes: list[int] = []

        def measured(params: Parameters, image: jax.Array) -> None:
            self._run(params, {0: Tensor(image, is_last=True)}, 0, len(self.program.calls), Taps(), {}, sizes=sizes)

        jax.eval_shape(measured, params, images[:1])
        return max((number for number, size in enumerate(sizes, 1) if size >= CACHED_FLOATS), default=0)

    def _run(
        self,
        params: Parameters,
        live: Mapping[int, Any],
        start: int,
        end: int,
        taps: Taps,
        tapped: Mapping[int, Sequence[str]],
        *,
        sizes: list[int] | None = None,
    ) -> dict[int, Any]:
        """Takes the steps after `start` up to `end`.

        Args:
            params: of the network.
            live: the results that they need of those before, by the number of their step.
            start: the last step that was taken.
            end: the last step to take.
            taps: is told of activations.
            tapped: the names of the taps at each step.
            sizes: is appended the size of each result.

        Returns:
            The results that the steps after `end` need.
        """
        results = dict(live)
        last_use = _last_uses(self.program)

        def value(argument: Any) -> Any:
            if isinstance(argument, Step):
                return results[argument.number]
            if isinstance(argument, Parameter):
                return Tensor(params[argument.name])
            return tuple(map(value, argument)) if isinstance(argument, tuple) else argument

        with promoting():
            for number in range(start + 1, end + 1):
                call = self.program.calls[number - 1]
                keywords = {name: value(argument) for name, argument in call.keywords}
                arguments = tuple(map(value, call.arguments))
                result = OPERATORS[call.operator](*arguments, dtype=jnp.dtype(self.dtype), **keywords)
                for name in tapped.get(number, ()):
                    result = Tensor(taps(name, result.images), is_last=True)
                results[number] = result
                if sizes is not None:
                    sizes.append(max((leaf.size for leaf in jax.tree.leaves(result)), default=0))
                for step in last_use.get(number, ()):
                    del results[step]
        return results


def _last_uses(program: Program) -> dict[int, list[int]]:
    """Returns by step the earlier ones that no later step needs."""
    last = {number: number for number in range(len(program.calls) + 1)}  # what nobody needs is dropped at once

    def visit(argument: Any, number: int) -> None:
        if isinstance(argument, Step):
            last[argument.number] = number
        elif isinstance(argument, tuple):
            for each in argument:
                visit(each, number)

    for number, call in enumerate(program.calls, 1):
        visit((call.arguments, tuple(value for _, value in call.keywords)), number)
    last[program.output] = len(program.calls) + 1
    by_step: dict[int, list[int]] = {}
    for step, number in last.items():
        by_step.setdefault(number, []).append(step)
    return by_step
