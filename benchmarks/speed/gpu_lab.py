"""What the parts of `benchmarks.speed.gpu` share: the options, and what is loaded and compiled once."""

import dataclasses
import functools
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

import xaijax
from benchmarks.common.photographs import PhotographOptions, choose_photographs, read_photographs
from benchmarks.speed.kernel import Kernel, compile_kernel
from xaijax.classifier import Dtype
from xaijax.runtime.device.roofline import matrix_product_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(PhotographOptions):
    """Measures one GPU.

    Attributes:
        others: networks that are searched too, with random weights.
        dtype: of the forward pass of the search.
        evaluations: an image; each count has a search of its own, and the first also serves other parts.
        micro_batches: beside the library's rule, that the first search is tried at.
        models: whose forward passes are timed, with random weights.
        forward_batch: images of those; None is the search's micro-batch.
        compared: images that are held against float32 on a CPU, at most a batch.
        reference: file of `benchmarks.quality.genomes` with as many images; None makes it here, on this machine's CPU.
        seconds: for all parts; nothing begins after them.
        parts: what is measured; none for all.
        platform: where; None is JAX's choice.
        small: a trial: a few images and evaluations, one model.
        name: of the record.
    """

    model: str = "resnet50"
    count: int = 64
    batch: int = 64
    others: tuple[str, ...] = ("mobilenet_v2",)
    dtype: Dtype = "bfloat16"
    evaluations: tuple[int, ...] = (240, 1000)
    micro_batches: tuple[int, ...] = (64, 128, 512)
    models: tuple[str, ...] = ("mobilenet_v2", "mobilenet_v3_small", "resnet18", "resnet50", "densenet121")
    forward_batch: int | None = None
    compared: int = 4
    reference: Path | None = None
    seconds: float = 480.0
    parts: tuple[str, ...] = ()
    platform: Literal["cpu", "cuda", "tpu"] | None = None
    small: bool = False
    name: str = "gpu"


@dataclasses.dataclass(frozen=True)
class Lab:
    """What the parts share; each thing is made once, by the part that needs it first.

    Attributes:
        options: of the benchmark.
        end: when the time is spent, by `time.perf_counter`.
    """

    options: Options
    end: float

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.perf_counter()

    @functools.cached_property
    def classifier(self) -> xaijax.Classifier:
        """In the search's own type."""
        return self.load(self.options.dtype)

    @functools.cached_property
    def images(self) -> np.ndarray:
        """Photographs, `[B, H, W, C]` uint8."""
        return read_photographs(choose_photographs(self.options.images, self.options.count), self.classifier)

    @functools.cached_property
    def kernel(self) -> Kernel:
        """The first search."""
        return self.search(self.classifier)

    @functools.cached_property
    def product_rates(self) -> dict[Dtype, float]:
        """Floating-point operations a second of matrix products."""
        side = 256 if self.options.small else None
        dtypes: tuple[Dtype, ...] = ("float32", "bfloat16")
        return {dtype: matrix_product_rate(dtype, side=side) for dtype in dtypes}

    def load(self, dtype: Dtype) -> xaijax.Classifier:
        """Loads the model."""
        return xaijax.models.load(self.options.model, self.options.weights, dtype=dtype)

    def search(self, classifier: xaijax.Classifier, evaluations: int | None = None, **setting: Any) -> Kernel:
        """Compiles a search on one device."""
        options = self.options
        method = xaijax.ELIME(
            evaluations=evaluations or options.evaluations[0], segmentation=options.segmentation, fill=options.fill
        )
        setting = {"batch": options.batch, "seed": options.seed, "devices": 1} | setting
        return compile_kernel(classifier, method, **setting)
