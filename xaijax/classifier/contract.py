"""The classifier contract: what a search needs to know about a network, with a constructor for each library."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from xaijax.classifier.forward import (
    Apply,
    BlackBoxApply,
    CallableApply,
    Dtype,
    FunctionApply,
    LinenApply,
    NNXApply,
    Parameters,
    cast,
    to_unit_range,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Classifier:
    """An image classifier: its parameters, and static facts about it.

    A pytree whose leaves are the parameters, so that it is an argument of a compiled search and never a constant in it.

    Attributes:
        params: pytree of arrays.
        apply: see `Apply`.
        name: of the network, for records.
        num_classes: classes; with `activation="sigmoid"` and one logit, the two classes "no" (0) and "yes" (1).
        channels: channels of an image.
        input_size: height and width that the network was trained for, in pixels.
        resize: the short side in pixels to which a photograph is resized before the centre crop of `input_size`; None
            resizes it to `input_size` without cropping.
        interpolation: of that resizing.
        mean: per channel, of [0, 1] pixels.
        std: per channel, of [0, 1] pixels.
        activation: turns logits into probabilities.
        labels: one name per class, or empty.
        taps: names of the activations that `apply` can return.
    """

    params: Parameters
    apply: Apply = dataclasses.field(metadata={"static": True})
    num_classes: int = dataclasses.field(metadata={"static": True})
    name: str = dataclasses.field(default="", metadata={"static": True})
    channels: int = dataclasses.field(default=3, metadata={"static": True})
    input_size: tuple[int, int] = dataclasses.field(default=(224, 224), metadata={"static": True})
    resize: int | None = dataclasses.field(default=None, metadata={"static": True})
    interpolation: Literal["bilinear", "bicubic"] = dataclasses.field(default="bilinear", metadata={"static": True})
    mean: tuple[float, ...] = dataclasses.field(default=(0.0, 0.0, 0.0), metadata={"static": True})
    std: tuple[float, ...] = dataclasses.field(default=(1.0, 1.0, 1.0), metadata={"static": True})
    activation: Literal["softmax", "sigmoid"] = dataclasses.field(default="softmax", metadata={"static": True})
    labels: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True})
    taps: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True})

    def __call__(self, images: jax.Array | np.ndarray) -> jax.Array:
        """Returns the logits `[B, K]` of `images` `[B, H, W, C]`, uint8 or float in [0, 1]."""
        if isinstance(self.apply, BlackBoxApply):
            pixels = np.asarray(to_unit_range(jnp.asarray(images)))
            return jnp.asarray(self.apply.call_on_host(pixels, self.activation))
        return _logits(self, jnp.asarray(images))

    @property
    def is_black_box(self) -> bool:
        """Whether it can only be called from the host."""
        return isinstance(self.apply, BlackBoxApply)

    def label(self, target: int) -> str:
        """Returns the name of class `target`, or its number where the classifier has no labels."""
        return self.labels[target] if self.labels else str(target)

    @classmethod
    def from_nnx(cls, module: nnx.Module, *, dtype: Dtype | None = None, **facts: Any) -> "Classifier":
        """Makes a classifier from a Flax NNX module.

        Args:
            module: called as `module(images)`, with `images` normalised by `mean` and `std`, it returns logits
                `[N, K]`. A module with an attribute `tap_names` is called as `module(images, taps)` with a `Taps`. It
                is not changed; the classifier is a copy of it in evaluation mode.
            dtype: of parameters and computation; None leaves the parameters as they are and passes float32.
            **facts: fields of `Classifier`; `num_classes` is required.
        """
        copy = nnx.merge(*nnx.split(module))
        copy.eval()
        graph, state = nnx.split(copy)
        facts = _facts(facts)
        names = tuple(getattr(module, "tap_names", ()))
        apply = NNXApply(facts["mean"], facts["std"], dtype or "float32", graph, names)
        return cls(params=cast(state, dtype), apply=apply, taps=names, **facts)

    @classmethod
    def from_linen(
        cls,
        module: Any,
        variables: Mapping[str, Any],
        *,
        arguments: Mapping[str, Any] | None = None,
        dtype: Dtype | None = None,
        **facts: Any,
    ) -> "Classifier":
        """Makes a classifier from a Flax Linen module.

        Args:
            module: `module.apply(variables, images, **arguments)` returns logits `[N, K]`, with `images` normalised by
                `mean` and `std`.
            variables: all its collections, `params` and `batch_stats` for example.
            arguments: such as `{"train": False}`; hashable values.
            dtype: of parameters and computation; None leaves the parameters as they are and passes float32.
            **facts: fields of `Classifier`; `num_classes` is required.
        """
        facts = _facts(facts)
        fixed = tuple(sorted((arguments or {}).items()))
        apply = LinenApply(facts["mean"], facts["std"], dtype or "float32", module, fixed)
        return cls(params=cast(variables, dtype), apply=apply, **facts)

    @classmethod
    def from_callable(
        cls,
        module: Callable[[jax.Array], jax.Array],
        *,
        per_image: bool = True,
        channels_first: bool = True,
        dtype: Dtype | None = None,
        **facts: Any,
    ) -> "Classifier":
        """Makes a classifier from a callable pytree, such as an Equinox module in inference mode.

        Args:
            module: a pytree whose array leaves are its parameters and whose other leaves are hashable. Called with
                images normalised by `mean` and `std`, it returns logits.
            per_image: whether it takes one image and returns `[K]`, as Equinox does, rather than a batch and `[N, K]`.
            channels_first: whether it takes `[C, H, W]`, as Equinox does, rather than `[H, W, C]`.
            dtype: of parameters and computation; None leaves the parameters as they are and passes float32.
            **facts: fields of `Classifier`; `num_classes` is required.
        """
        facts = _facts(facts)
        leaves, structure = jax.tree.flatten(module)
        is_array = [isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves]
        constants = tuple(None if array else (leaf,) for leaf, array in zip(leaves, is_array, strict=True))
        params = [leaf for leaf, array in zip(leaves, is_array, strict=True) if array]
        apply = CallableApply(
            facts["mean"], facts["std"], dtype or "float32", structure, constants, per_image, channels_first
        )
        return cls(params=cast(params, dtype), apply=apply, **facts)

    @classmethod
    def from_torch(
        cls,
        module: Any,
        *,
        input_size: tuple[int, int] = (224, 224),
        channels: int = 3,
        dtype: Dtype | None = None,
        **facts: Any,
    ) -> "Classifier":
        """Makes a classifier from a PyTorch module, exported by `torch.export` and compiled like any other.

        Its taps are the parts of the module that return images `[N, C, H, W]`, by their names in it. Its logits are
        compared with PyTorch's once.

        Args:
            module: called with images `[N, C, H, W]` normalised by `mean` and `std`, it returns logits `[N, K]`. It is
                exported in evaluation, for one image at a time, and left as it was.
            input_size: height and width of the images; it is exported for this size.
            channels: of an image.
            dtype: of parameters and computation; None is float32.
            **facts: fields of `Classifier`; `num_classes` is required.

        Raises:
            ValueError: it cannot be exported, takes a step that is not known, or its logits differ from PyTorch's.
        """
        from xaijax.classifier.exported.program import ProgramApply  # only whoever comes with PyTorch waits for it
        from xaijax.classifier.exported.torch_export import export_module

        facts = _facts({"input_size": input_size, "channels": channels, **facts})
        program, params = export_module(module, (channels, *input_size))
        apply = ProgramApply(facts["mean"], facts["std"], dtype or "float32", program)
        return cls(params=cast(params, dtype), apply=apply, taps=apply.tap_names(None), **facts)

    @classmethod
    def from_function(
        cls,
        function: Callable[[Parameters, jax.Array], jax.Array],
        params: Parameters,
        *,
        dtype: Dtype | None = None,
        **facts: Any,
    ) -> "Classifier":
        """Makes a classifier from a plain function.

        Args:
            function: `function(params, images) -> logits`, with `images` `[N, H, W, C]` normalised by `mean` and `std`.
                The compilation cache knows it by identity: pass the same object again, not a new lambda.
            params: pytree of arrays, or None.
            dtype: of parameters and computation; None leaves the parameters as they are and passes float32.
            **facts: fields of `Classifier`; `num_classes` is required.
        """
        facts = _facts(facts)
        apply = FunctionApply(facts["mean"], facts["std"], dtype or "float32", function)
        return cls(params=cast(params, dtype), apply=apply, **facts)

    @classmethod
    def from_black_box(
        cls,
        function: Callable[[np.ndarray], Any],
        *,
        outputs: Literal["logits", "probabilities"] = "logits",
        **facts: Any,
    ) -> "Classifier":
        """Makes a classifier from any function on the host: a PyTorch module, an ONNX Runtime session, a service.

        It is called from the host between the compiled halves of a generation, so only a search (`ELIME`) can explain
        it; for the same outputs the result is that of the compiled search.

        Args:
            function: `function(images)`, with `images` a float32 NumPy array `[N, H, W, C]` normalised by `mean` and
                `std` (by default unchanged), returns an array `[N, K]`. The compilation cache knows it by identity:
                pass the same object again, not a new lambda.
            outputs: whether it returns logits, or probabilities in [0, 1].
            **facts: fields of `Classifier`; `num_classes` is required.
        """
        facts = _facts(facts)
        apply = BlackBoxApply(facts["mean"], facts["std"], "float32", function, outputs)
        return cls(params=None, apply=apply, **facts)


_CHOICES = {"activation": ("softmax", "sigmoid"), "interpolation": ("bilinear", "bicubic")}
"""What some facts of a classifier may be, the default first."""


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Fills in defaults that depend on the number of channels, makes lists hashable, and checks lengths."""
    facts = {fact: tuple(value) if isinstance(value, list) else value for fact, value in facts.items()}
    for fact, allowed in _CHOICES.items():
        if facts.get(fact, allowed[0]) not in allowed:
            raise ValueError(f"{fact} is {facts[fact]!r} but must be one of {', '.join(allowed)}.")
    channels = facts.get("channels", 3)
    numbers = {"num_classes": facts.get("num_classes"), "channels": channels, "resize": facts.get("resize") or 1}
    size = facts.get("input_size", (224, 224))
    if not isinstance(size, tuple) or len(size) != 2:
        raise ValueError(f"input_size is {size!r} but must be a height and a width.")
    for fact, number in [*numbers.items(), *(("input_size", side) for side in size)]:
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise ValueError(f"{fact} is {number!r} but must be a whole number, at least 1.")
    for fact, default in (("mean", 0.0), ("std", 1.0)):
        given = facts.get(fact, (default,) * channels)
        try:
            value = tuple(float(number) for number in given)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{fact} is {given!r} but must be {channels} numbers, one per channel.") from error
        if not np.isfinite(value).all():
            raise ValueError(f"{fact} {value} must be finite in every channel.")
        if len(value) != channels:
            raise ValueError(f"{fact} {value} has {len(value)} numbers; images of {channels} channels need {channels}.")
        facts[fact] = value
    if min(facts["std"]) <= 0:
        raise ValueError(f"std {facts['std']} must be above 0 in every channel.")
    if facts["num_classes"] == 1 and facts.get("activation") == "sigmoid":
        facts["num_classes"] = 2
    labels, classes = facts.get("labels", ()), facts["num_classes"]
    if classes < 2:
        raise ValueError(f"num_classes is {classes}, whose softmax is always 1; set activation='sigmoid'.")
    if labels and len(labels) != classes:
        raise ValueError(f"{len(labels)} labels were given for {classes} classes; give each a name, in their order.")
    return facts


@jax.jit
def _logits(classifier: Classifier, images: jax.Array) -> jax.Array:
    return classifier.apply(classifier.params, to_unit_range(images))[0]
