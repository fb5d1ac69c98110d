"""The PyTorch original with the port's weights, as the packages want to call it, and a count of its passes."""

import dataclasses
import itertools
import statistics
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.common.originals import torch_model

BATCHES = {"cpu": (1, 4, 8, 16, 32), "cuda": (16, 32, 64, 128, 256)}
"""That are tried, of each platform."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What an original is made of; a process can be sent it.

    Attributes:
        model: torchvision's name.
        weights: safetensors with torchvision's keys.
        mean: of the data, a channel, in [0, 1].
        std: likewise.
        platform: where it runs.
    """

    model: str
    weights: Path
    mean: tuple[float, ...]
    std: tuple[float, ...]
    platform: Literal["cpu", "cuda"] = "cpu"


class Original:
    """The network in evaluation mode; `rows` counts the images that went through it.

    Attributes:
        module: normalised `[N, 3, H, W]` to logits.
        batch: rows a call that its user should ask for.
        rows: since it was built.
    """

    def __init__(self, source: Source, *, channels_last: bool = False, batch: int = 1):
        import torch
        from safetensors.torch import load_file

        self.module = torch_model(source.model)
        self.module.load_state_dict({key: array.float() for key, array in load_file(str(source.weights)).items()})
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self.module.to(source.platform, memory_format=self._format)
        self._device = torch.device(source.platform)
        self._mean, self._std = (
            torch.tensor(values, device=self._device)[:, None, None] for values in (source.mean, source.std)
        )
        self.batch, self.rows = batch, 0
        self.module.register_forward_pre_hook(self._count)

    def _count(self, _: Any, arguments: tuple[Any, ...]) -> None:
        self.rows += len(arguments[0])

    def tensor(self, images: np.ndarray) -> Any:
        """Normalises `[N, H, W, 3]`, uint8 or float32 in [0, 1], to a tensor `[N, 3, H, W]`."""
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self._device).permute(0, 3, 1, 2)
        pixels = pixels.float() / 255 if images.dtype == np.uint8 else pixels
        return ((pixels - self._mean) / self._std).contiguous(memory_format=self._format)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Answers `[N, H, W, 3]` with `[N, K]`."""
        import torch

        with torch.inference_mode():
            return self.module(self.tensor(images)).cpu().numpy()

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Answers `[N, H, W, 3]` with `[N, K]`, for packages that perturb pixels."""
        import torch

        with torch.inference_mode():
            return torch.softmax(self.module(self.tensor(images)), dim=1).cpu().numpy()


def fastest(
    source: Source, image: np.ndarray, *, rounds: int = 4, calls: int = 5
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns the memory format and batch of least time a row, as arguments of `Original`, and the times of all.

    Each is called a few times in a row in each of the rounds, which run to and fro, so that what else the machine does
    hits all of them. The median of its calls counts: the least of them does not hold for the hundreds of a search.
    """
    originals = {is_last: Original(source, channels_last=is_last) for is_last in (False, True)}
    asked = list(itertools.product(originals, BATCHES[source.platform]))
    took: dict[tuple[bool, int], list[float]] = {key: [] for key in asked}
    for turn in range(rounds):
        for is_last, batch in reversed(asked) if turn % 2 else asked:
            images = np.repeat(image[None], batch, axis=0)
            for _ in range(calls):
                start = time.perf_counter()
                originals[is_last].probabilities(images)
                took[is_last, batch].append((time.perf_counter() - start) / batch)
    median = {key: statistics.median(seconds) for key, seconds in took.items()}
    best = min(median, key=median.__getitem__)
    times = [
        {"channels_last": is_last, "batch": batch, "ms_a_row": round(1000 * seconds, 2)}
        for (is_last, batch), seconds in median.items()
    ]
    return {"channels_last": best[0], "batch": best[1]}, times
