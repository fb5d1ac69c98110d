"""Compiles explanations for a TPU or a GPU on a machine that has neither, and reads off what would run there.

    python -m benchmarks.speed.compile_check --topology v5e:2x2 --models resnet50 mobilenet_v2
    python -m benchmarks.speed.compile_check --topology h100 --methods elime --images 61 251

For each method, network and batch: the memory of temporaries, and how much of it a search carries from generation to
generation; the kernels of a generation outside the loop over micro-batches (the loops within it times their trips) and
those of a micro-batch; and every loop with its trips, or the reason why they are unknown. A TPU needs the extra `tpu`;
an H100 needs `cuda-check` and a Python to which JAX 0.12 or later comes; `--topology cpu` needs neither, and tells of
the memory alone. With `--at-most` the command fails where a search launches more kernels a generation, where a loop
takes as many turns as there are images, or where devices that share the images exchange data.
"""

import dataclasses
import functools
import math
import os
import sys
import time
from typing import Any
from unittest import mock

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import xaijax
from benchmarks.common.hlo import Loop, Program, scope
from benchmarks.common.record import read_record, write_record
from xaijax.batch import make_batch
from xaijax.classifier import Dtype
from xaijax.execution import sharding, slots
from xaijax.execution.compiled import explain_batch, searches_in_generations
from xaijax.execution.placement import Placement
from xaijax.fitness import Targets
from xaijax.methods.registry import METHODS
from xaijax.micro_batches import micro_batch_size
from xaijax.models.architectures import architecture
from xaijax.models.layers import ShapesOnly, fold_batch_norms

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "elime-probability": ("elime", {"objective": "probability"}),
    "elime-deletion": ("elime", {"game": "deletion"}),
}
"""Methods with other options than their defaults, by the name that they have here."""

RETRIES = 4
"""Most turns of the loop in which children that repeat a known mask are mutated again."""

REASONS = {
    "generations": "until the search of each image has ended",
    "micro-batches": "as many as the new masks fill",
    "retries": f"until no child repeats a known mask, at most {RETRIES}, which is what counts",
}
"""Why the trips of a loop are unknown, by its named scope."""

H100 = """
gpu_device_info {
  threads_per_block_limit: 1024  threads_per_warp: 32  shared_memory_per_block: 49152
  shared_memory_per_core: 233472  threads_per_core_limit: 2048  core_count: 132  fpus_per_core: 128
  block_dim_limit_x: 2147483647  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000  l2_cache_size: 52428800  clock_rate_ghz: 1.98
  device_memory_size: 84942979072  shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 13 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
"""The figures of an H100 SXM, as XLA's `GpuTargetConfigProto` has them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to compile, and for what.

    Attributes:
        topology: "h100", a TPU's, such as "v5e:2x2", or "cpu".
        models: names of the zoo; their weights do not matter.
        methods: names as on the command line, elime-probability and elime-deletion.
        images: of the batches.
        evaluations: an image, for methods that have them.
        micro_batch: None is that of the platform.
        dtype: of the network.
        devices: that the images are spread over, at most as many as the topology has.
        at_most: kernels of a generation; None does not check.
        name: of the record; None writes none.
        resume: keep the rows that the record already has, rather than compile these programs again.
    """

    topology: str
    models: tuple[str, ...] = ("resnet50", "densenet121", "mobilenet_v2")
    methods: tuple[str, ...] = (
        *("elime", *VARIANTS, "binary-masks", "lime", "kernel-shap", "rise", "occlusion", "grad-cam"),
    )
    images: tuple[int, ...] = (61, 251)
    evaluations: int = 240
    micro_batch: int | None = None
    dtype: Dtype = "bfloat16"
    devices: int = 1
    at_most: int | None = None
    name: str | None = None
    resume: bool = False

    @property
    def platform(self) -> str:
        """As JAX names it for a computation's devices."""
        return {"h100": "gpu", "cpu": "cpu"}.get(self.topology, "tpu")


def topology_devices(options: Options) -> list[Any]:
    """Returns descriptions of the devices to compile for, or ends with a sentence where a wheel is missing."""
    try:
        if options.platform == "cpu":
            return jax.local_devices()
        if options.platform == "tpu":
            return list(topologies.get_topology_desc(options.topology, platform="tpu").devices)
        described = topologies.get_topology_desc("", "cuda", target_config=H100, topology="1x1x1")
        return list(described.devices)
    except Exception as error:  # each backend has errors of its own
        extra = "tpu" if options.platform == "tpu" else "cuda-check"
        sys.exit(
            f"cannot compile for {options.topology}: {str(error).splitlines()[0]}\nInstall what it needs with "
            f"pip install -e '.[{extra}]'" + ("." if extra == "tpu" else ", with JAX 0.12 or later (Python 3.12).")
        )


def shapes_only(name: str, dtype: Dtype) -> xaijax.Classifier:
    """Returns a classifier of the zoo with zeros for weights."""
    row = architecture(name)
    module = row.build(num_classes=row.num_classes, channels=3, padding="symmetric", rngs=ShapesOnly())
    fold_batch_norms(module)
    facts = {fact: getattr(row, fact) for fact in ("num_classes", "input_size", "mean", "std")}
    return xaijax.Classifier.from_nnx(module, dtype=dtype, name=name, **facts)


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled program, what it consists of, and the bytes of the state that its search carries through the loop."""

    stage: Any
    program: Program
    state_bytes: int | None
    seconds: float


def compile_for(
    devices: list[Any], classifier: xaijax.Classifier, name: str, images: int, options: Options
) -> Compiled:
    """Compiles the program of a batch."""
    kind, own = VARIANTS.get(name, (name, {}))
    fields = {field.name for field in dataclasses.fields(METHODS[kind])}
    evaluations = {"evaluations": options.evaluations} if "evaluations" in fields else {}
    method = METHODS[kind](**evaluations, **own)
    micro_batch = options.micro_batch or micro_batch_size((*classifier.input_size, 3), options.platform)
    count = -(-images // options.devices) * options.devices
    pixels: Any = np.zeros((count, *classifier.input_size, 3), np.uint8)
    targets = Targets.of(np.full((count,), -1, np.int32))
    words, batch = make_batch(np.zeros((count, 2), np.uint32), pixels, targets)
    mesh = Mesh(np.array(devices[: options.devices]), (sharding.AXIS,), axis_types=(AxisType.Auto,))

    def described(tree: Any, *axes: str) -> Any:
        placed = NamedSharding(mesh, PartitionSpec(*axes))
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), leaf.dtype, sharding=placed), tree)

    arguments = (
        described(jax.random.key(0)),
        described(words, sharding.AXIS),
        described(classifier),
        described(batch, sharding.AXIS),
    )
    placement = Placement(micro_batch, options.devices, parallel=options.platform != "cpu")
    start = time.perf_counter()
    with mock.patch.object(sharding, "device_mesh", return_value=mesh):
        traced = jax.jit(explain_batch, static_argnums=(4, 5)).trace(*arguments, method, placement)
        lowered = traced.lower(lowering_platforms=("cuda" if options.platform == "gpu" else options.platform,))
        stage = lowered.compile()
        state = None
        if searches_in_generations(method):
            begun = jax.eval_shape(functools.partial(slots.begin, method=method, placement=placement), *arguments)
            leaves = jax.tree.leaves(dataclasses.replace(begun, batch=None))
            state = sum(math.prod(leaf.shape) * _item_size(leaf.dtype) for leaf in leaves)
    return Compiled(stage, Program(stage.as_text()), state, time.perf_counter() - start)


def look_at(compiled: Compiled, name: str, model: str, images: int) -> dict[str, Any]:
    """Returns what a compiled program consists of, as a row of the record."""
    program, state = compiled.program, compiled.state_bytes
    turns = {"micro-batches": 0, "retries": RETRIES}
    generation = [program.kernels(body, turns=turns) for body in program.bodies("generations")]
    return {
        "method": name,
        "model": model,
        "images": images,
        "compile_s": round(compiled.seconds, 1),
        "temporary_mb": round(compiled.stage.memory_analysis().temp_size_in_bytes / 1e6, 1),
        "state_mb": None if state is None else round(state / 1e6, 1),
        "kernels_a_generation": generation[0] if generation else None,
        "kernels_a_micro_batch": max((program.kernels(body) for body in program.bodies("micro-batches")), default=None),
        "collectives": len(program.collectives),
        "loops": [loop_row(loop) for loop in program.loops],
    }


def _item_size(dtype: Any) -> int:
    """Returns the bytes of an entry; those of a random key are its two words."""
    return 8 if jnp.issubdtype(dtype, jax.dtypes.prng_key) else jnp.dtype(dtype).itemsize


def loop_row(loop: Loop) -> dict[str, Any]:
    """Returns a loop as a row: its path, its trips or why they are unknown, and the kernels of a trip."""
    trips = (
        loop.trips if loop.trips is not None else REASONS.get(scope(loop.op_name), "until its result no longer changes")
    )
    return {"path": loop.op_name, "depth": loop.depth, "trips": trips, "kernels": loop.kernels}


def complaints(row: dict[str, Any], at_most: int) -> list[str]:
    """Returns what is wrong with a compiled program, in sentences."""
    found = []
    title = f"{row['method']} with {row['model']} on {row['images']} images"
    if (row["kernels_a_generation"] or 0) > at_most:
        found.append(f"{title} launches {row['kernels_a_generation']} kernels a generation, more than {at_most}.")
    found += [
        f"{title} has a loop of as many turns as images: {loop['path']}."
        for loop in row["loops"]
        if loop["trips"] == row["images"]
    ]
    if row["collectives"]:
        found.append(f"{title} has {row['collectives']} operations by which devices exchange data.")
    return found


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    devices = topology_devices(options)
    rows: list[dict[str, Any]] = []
    if options.resume and options.name is not None:
        rows = read_record(options.name).get("programs", [])
    known = {(row["model"], row["method"], row["images"]) for row in rows}
    wrong = []
    for model in options.models:
        classifier = shapes_only(model, options.dtype) if architecture(model).layouts() else xaijax.models.load(model)
        for name in options.methods:
            for images in options.images:
                if (model, name, images) in known:
                    continue
                row = look_at(compile_for(devices, classifier, name, images, options), name, model, images)
                rows.append(row)
                print(
                    f"{model} {name}, {images} images: {row['temporary_mb']} MB of temporaries, "
                    f"{row['state_mb']} MB of them state; kernels: "
                    f"{row['kernels_a_generation']} a generation, {row['kernels_a_micro_batch']} a micro-batch; "
                    f"compiled in {row['compile_s']} s",
                    flush=True,
                )
                for loop in row["loops"]:
                    print(f"  {'  ' * loop['depth']}{loop['path']}: {loop['trips']}; {loop['kernels']} kernels")
                wrong += complaints(row, options.at_most) if options.at_most is not None else []
                if options.name is not None:
                    settings = dataclasses.asdict(options) | {"programs": rows}
                    write_record(options.name, settings, show=False)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
