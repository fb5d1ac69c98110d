"""The parts of `benchmarks.speed.gpu`: each measures one thing, and returns its figures."""

import dataclasses
import functools
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import xaijax
from benchmarks.common.hlo import Program
from benchmarks.common.photographs import choose_photographs, command_line, read_photographs
from benchmarks.peers.contest import OWN_FILL, Subject
from benchmarks.quality import genomes
from benchmarks.speed import forward, overhead
from benchmarks.speed.gpu_lab import Lab
from benchmarks.speed.idle import idle_figures
from benchmarks.speed.kernel import Kernel, arithmetic, peak_bytes, time_kernel
from benchmarks.speed.processes import run_module
from xaijax.classifier import Dtype, to_unit_range
from xaijax.masks.segmentation import SEGMENTATIONS
from xaijax.models.architectures import architecture
from xaijax.models.layers import fold_batch_norms
from xaijax.runtime.device.roofline import flops_of_a_pass


def matrix_products(lab: Lab) -> dict[str, Any]:
    """What the device does of matrix products, in operations a second."""
    return {"flops_per_s": lab.product_rates, "memory": jax.local_devices()[0].memory_stats()}


def searches(lab: Lab) -> dict[str, Any]:
    """The rates of the searches, over bare passes and matrix products, and how long the device waits in them."""
    rows: list[dict[str, Any]] = []
    for model in (lab.options.model, *lab.options.others):
        # The rate does not depend on the weights.
        classifier = lab.classifier if model == lab.options.model else random_classifier(model, lab.options.dtype)
        for evaluations in lab.options.evaluations:
            if rows and lab.left <= 0:
                break
            kernel = lab.search(classifier, evaluations) if rows else lab.kernel
            rows.append({"model": model, **_search(lab, classifier, kernel, evaluations)})
    return {"dtype": lab.options.dtype, "images": len(lab.images), "rows": rows}


def _search(lab: Lab, classifier: xaijax.Classifier, kernel: Kernel, evaluations: int) -> dict[str, Any]:
    rates = time_kernel(kernel, classifier, lab.images, rounds=1)
    batches = kernel.batches(lab.images)
    idle = idle_figures(functools.partial(kernel.run, batches))
    return {
        "evaluations": evaluations,
        "batch": kernel.batch,
        "micro_batch": kernel.micro_batch,
        "compile_s": kernel.compile_s,
        "images_per_minute": 60 * rates["images_per_s"],
        **rates,
        **arithmetic(classifier, kernel, lab.options.dtype, rates["evaluations_per_s"]),
        "temporary_bytes": kernel.temporary_bytes,
        **peak_bytes(),
        "idle": idle,
        "launches": {"profiled": idle.get("kernels"), **expected_launches(kernel, batches)},
    }


def expected_launches(kernel: Kernel, batches: list[Any]) -> dict[str, int]:
    """Returns the fewest and the most kernels that calls on these batches launch, as the compiled program tells.

    The fewest fill every micro-batch, and have no child that repeats a known mask; the most leave one micro-batch a
    generation partly empty, and try again as often as they may.
    """
    program = Program(kernel.program.as_text())  # type: ignore[attr-defined]
    attempts = xaijax.ELIME().settings.retries + 1
    once = program.kernels(turns={"generations": 0})
    (body,) = program.bodies("generations")
    micro_batch = sum(program.kernels(each) for each in program.bodies("micro-batches"))
    least, largest = (program.kernels(body, turns={"micro-batches": 0, "retries": turns}) for turns in (1, attempts))
    fewest, most = 0, 0
    for batch in batches:
        found = kernel.program(*batch)
        generations = int(np.max(found.generations)) + 1
        filled = -(-int(np.sum(found.evaluations)) // kernel.micro_batch)
        fewest += once + generations * least + filled * micro_batch
        most += once + generations * largest + (filled + generations) * micro_batch
    return {"fewest": fewest, "most": most}


def against_lime(lab: Lab) -> dict[str, Any]:
    """How many photographs a minute the package `lime` explains with PyTorch on the same device."""
    missing = [name for name in ("torch", "torchvision", "lime") if not importlib.util.find_spec(name)]
    if missing or lab.options.weights is None:
        return {"note": f"left out: {', '.join(missing)} not installed" if missing else "left out: no weights"}
    from benchmarks.peers.original import Original, Source
    from benchmarks.peers.packages import lime_weights

    classifier = lab.classifier
    on_gpu = jax.default_backend() == "gpu"
    source = Source(
        lab.options.model, Path(lab.options.weights), classifier.mean, classifier.std, "cuda" if on_gpu else "cpu"
    )
    original = Original(source, channels_last=True, batch=lab.kernel.micro_batch)
    segment = jax.jit(lambda image: SEGMENTATIONS[lab.options.segmentation](to_unit_range(image)))
    samples = 20 if lab.options.small else 1000
    spent = []
    for pixels in lab.images[: 1 + min(4, len(lab.images) - 1)]:  # the first one warms up
        target = int(np.argmax(original.logits(pixels[None])))
        segments = np.asarray(segment(pixels))
        subject = Subject("", pixels, target, 1.0, segments, pixels / np.float32(255), pixels, None)
        start = time.perf_counter()
        lime_weights(original, subject, samples=samples, batch=original.batch, setting=OWN_FILL)
        spent.append(time.perf_counter() - start)
    images_per_minute = 60 / float(np.median(spent[1:]))
    return {"samples": samples, "batch": original.batch, "seconds": spent[1:], "images_per_minute": images_per_minute}


def agreement(lab: Lab) -> dict[str, Any]:
    """How many images get the genome here that they get on a CPU in float32."""
    options = lab.options
    paths = tuple(choose_photographs(options.images, min(options.compared, options.batch)))
    common = {name: getattr(options, name) for name in ("model", "weights", "segmentation", "fill", "seed")}
    images = read_photographs(paths, lab.classifier)
    with tempfile.TemporaryDirectory() as folder:
        file = options.reference or Path(folder) / "reference.npz"
        if options.reference is None:
            asked = genomes.Options(images=paths, count=len(paths), evaluations=options.evaluations[0], **common)
            arguments = [*command_line(dataclasses.replace(asked, out=file))]
            run_module("benchmarks.quality.genomes", arguments, seconds=max(lab.left, 1), JAX_PLATFORMS="cpu")
        reference = dict(np.load(file))
    found = {options.dtype: genomes.fields(lab.kernel.explain(images))}
    if options.dtype != "float32" and lab.left > 0:
        found["float32"] = genomes.fields(lab.search(lab.load("float32")).explain(images))
    return {dtype: genomes.compare(fields, reference) for dtype, fields in found.items()}


def overheads(lab: Lab) -> dict[str, Any]:
    """The time of E-LIME without a segmentation over that of as many bare passes."""
    setting = overhead.Options(images=(), evaluations=lab.options.evaluations[0], rounds=1)
    return overhead.compare("elime", lab.classifier, lab.images, setting)


def segmentations(lab: Lab) -> dict[str, Any]:
    """Milliseconds an image of each segmentation, image by image as a search does it, and all images at once."""
    images = to_unit_range(jnp.asarray(lab.images))
    rows = {}
    for name, segment in SEGMENTATIONS.items():
        if lab.options.small and name == "quickshift":
            continue
        ways = {"one by one": functools.partial(jax.lax.map, segment), "at once": jax.vmap(segment)}
        rows[name] = {way: _timed(jax.jit(mapped), images) for way, mapped in ways.items()}
    return rows


def larger_batch(lab: Lab) -> dict[str, Any]:
    """The memory and the rate of a batch four times as large: the memory should follow the micro-batch."""
    kernel = lab.search(lab.classifier, batch=4 * lab.options.batch)
    images = np.tile(lab.images, (-(-kernel.batch // len(lab.images)), 1, 1, 1))[: kernel.batch]
    rates = time_kernel(kernel, lab.classifier, images, rounds=1)
    memory = {"temporary_bytes": kernel.temporary_bytes, "smaller_temporary_bytes": lab.kernel.temporary_bytes}
    return {"batch": kernel.batch, "compile_s": kernel.compile_s, **rates, **memory, **peak_bytes()}


def forward_passes(lab: Lab) -> list[dict[str, Any]]:
    """Milliseconds an image of each model's forward pass, with random weights."""
    batch = lab.options.forward_batch or lab.kernel.micro_batch
    images = jax.random.uniform(jax.random.key(0), (batch, 224, 224, 3))
    rows = []
    for name in lab.options.models:
        if lab.left <= 0:
            break
        classifier = random_classifier(name, lab.options.dtype)
        timed = _timed(classifier, images)
        flops = flops_of_a_pass(classifier)
        rate = None if flops is None else flops * 1000 / timed["median"]
        share = None if rate is None else rate / lab.product_rates[lab.options.dtype]
        rows.append({"model": name, "batch": batch, **timed, "flops_per_s": rate, "share_of_matrix_product": share})
    return rows


def micro_batches(lab: Lab) -> list[dict[str, Any]]:
    """The rate of the first search at other micro-batches."""
    rows = []
    for micro_batch in lab.options.micro_batches:
        if lab.left <= 0:
            break
        kernel = lab.search(lab.classifier, micro_batch=micro_batch)
        rates = time_kernel(kernel, lab.classifier, lab.images, rounds=1)
        rows.append({"micro_batch": micro_batch, **rates, "temporary_bytes": kernel.temporary_bytes})
    return rows


def against_torch(lab: Lab) -> Any:
    """The forward passes against PyTorch's, where it is installed."""
    if not all(importlib.util.find_spec(name) for name in ("torch", "torchvision")):
        return {"note": "left out: torch or torchvision is not installed"}
    on_gpu = jax.default_backend() == "gpu"
    batch = lab.options.forward_batch or lab.kernel.micro_batch
    setting = forward.Options(batch=batch, platform="cuda" if on_gpu else "cpu")
    rows = []
    for name in lab.options.models:
        if lab.left <= 0:
            break
        rows.append(forward.compare(name, lab.options.dtype, setting))
    return rows


def random_classifier(name: str, dtype: Dtype) -> xaijax.Classifier:
    """Builds a published network with random weights."""
    row = architecture(name)
    module = row.build(num_classes=row.num_classes, channels=3, padding="symmetric", rngs=nnx.Rngs(0))
    fold_batch_norms(module)
    return xaijax.Classifier.from_nnx(module, dtype=dtype, num_classes=row.num_classes, mean=row.mean, std=row.std)


def _timed(call: Callable[[jax.Array], jax.Array], images: jax.Array) -> dict[str, float]:
    """Returns milliseconds an image, and the seconds of the first call."""

    def waited() -> object:
        return jax.block_until_ready(call(images))

    (first,) = forward.seconds(waited, 1)
    return {**forward.summary(forward.seconds(waited, 5), len(images)), "first_call_s": round(first, 2)}


PARTS: dict[str, Callable[[Lab], Any]] = {
    "matrix products": matrix_products,
    "search": searches,
    "agreement": agreement,
    "overhead": overheads,
    "segmentation": segmentations,
    "forward": forward_passes,
    "larger batch": larger_batch,
    "micro-batches": micro_batches,
    "against lime": against_lime,
    "against torch": against_torch,
}
"""In the order of their worth."""
