"""Times the forward pass of the ports against PyTorch in one run: `python -m benchmarks.speed.forward`.

Needs torch, torchvision's model files, and the `bench` extra. Both sides get the same random weights and images; each
network is timed A, B, B, A, the halves joined, after the compilation, which is timed apart. On CPU PyTorch runs
channels-last float32; on CUDA (`--platform cuda`) both run float32 and bfloat16, PyTorch through `torch.compile`.
"""

import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.originals import torch_model
from benchmarks.common.record import write_record


@dataclasses.dataclass(frozen=True)
class Options:
    """Times the forward pass of the ports against PyTorch.

    Attributes:
        models: names as in torchvision.
        batch: images a call.
        size: their side in pixels.
        calls: timed calls in each of the two halves of a side.
        platform: where both run.
    """

    models: tuple[str, ...] = (
        "mobilenet_v2",
        "mobilenet_v3_small",
        "efficientnet_lite0",
        "resnet18",
        "resnet50",
        "densenet121",
    )
    batch: int = 32
    size: int = 224
    calls: int = 5
    platform: Literal["cpu", "cuda"] = "cpu"


def own_classifier(name: str, model: Any, dtype: xaijax.classifier.Dtype) -> tuple[xaijax.Classifier, float]:
    """Loads the network's weights from a file, and returns the seconds that it took."""
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_file(model.state_dict(), str(path))
        start = time.perf_counter()
        classifier = xaijax.models.load(name, path, mean=(0.0,) * 3, std=(1.0,) * 3, dtype=dtype)
        jax.block_until_ready(classifier.params)
        return classifier, time.perf_counter() - start


def seconds(call: Callable[[], object], count: int) -> list[float]:
    """Times `count` calls that block until they are done."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def summary(times: list[float], batch: int) -> dict[str, float]:
    """Returns the median and the quartiles, in milliseconds an image."""
    low, median, high = (1e3 * value / batch for value in statistics.quantiles(times, n=4, method="inclusive"))
    return {"median": round(median, 3), "lower_quartile": round(low, 3), "upper_quartile": round(high, 3)}


def compare(name: str, dtype: xaijax.classifier.Dtype, options: Options) -> dict[str, Any]:
    """Times one network on both sides."""
    import torch

    torch.manual_seed(0)
    model = torch_model(name)
    classifier, load_seconds = own_classifier(name, model, dtype)
    images = np.random.default_rng(0).normal(size=(options.batch, options.size, options.size, 3)).astype(np.float32)
    here = jax.device_put(images)
    there = torch.from_numpy(images).permute(0, 3, 1, 2)
    there = there.to(options.platform, getattr(torch, dtype), memory_format=torch.channels_last)
    model = model.to(options.platform, getattr(torch, dtype), memory_format=torch.channels_last)
    if options.platform == "cuda":
        model = torch.compile(model)

    def ours() -> object:
        return jax.block_until_ready(classifier(here))

    def theirs() -> object:
        with torch.inference_mode():
            logits = model(there)
            if options.platform == "cuda":
                torch.cuda.synchronize()
            return logits

    compilation = [seconds(ours, 1)[0], seconds(theirs, 1)[0]]
    expected = theirs().float().cpu().numpy()  # type: ignore[attr-defined]
    difference = np.abs(np.asarray(ours()) - expected).max() / np.abs(expected).max()
    a, b = seconds(ours, options.calls), seconds(theirs, options.calls)
    b, a = b + seconds(theirs, options.calls), a + seconds(ours, options.calls)
    return {
        "model": name,
        "dtype": dtype,
        "load_seconds": round(load_seconds, 2),
        "first_call_seconds": {"xaijax": round(compilation[0], 2), "torch": round(compilation[1], 2)},
        "relative_difference": float(f"{difference:.1e}"),
        "milliseconds_an_image": {"xaijax": summary(a, options.batch), "torch": summary(b, options.batch)},
        "time_of_torch": round(statistics.median(a) / statistics.median(b), 3),
    }


def main(options: Options) -> None:
    """Times all and writes the table."""
    dtypes: tuple[xaijax.classifier.Dtype, ...] = (
        ("float32", "bfloat16") if options.platform == "cuda" else ("float32",)
    )
    rows = []
    for name in options.models:
        for dtype in dtypes:
            rows.append(compare(name, dtype, options))
            print(json.dumps(rows[-1]), flush=True)
    import torch

    settings = dataclasses.asdict(options) | {"torch": torch.__version__, "torch_threads": torch.get_num_threads()}
    write_record("forward", {"settings": settings, "rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Options))
