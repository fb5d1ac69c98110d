"""The PyTorch original with the port's weights, as the packages want to call it, and a count of its passes."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.originals import torch_model

BATCHES = (1, 4, 8, 16, 32, 64, 128)


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


def fastest(source: Source, image: np.ndarray) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns the memory format and batch of least time a row, as arguments of `Original`, and the time of all."""
    rows = list(_times(source, image))
    best = min(rows, key=lambda row: row["ms_a_row"])
    return {"channels_last": best["channels_last"], "batch": best["batch"]}, rows


def _times(source: Source, image: np.ndarray) -> Iterator[dict[str, Any]]:
    batches = BATCHES if source.platform == "cuda" else tuple(batch for batch in BATCHES if batch <= 64)
    for channels_last in (False, True):
        original = Original(source, channels_last=channels_last)
        for batch in batches:
            images = np.repeat(image[None], batch, axis=0)
            original.probabilities(images)
            seconds = []
            for _ in range(3):
                start = time.perf_counter()
                original.probabilities(images)
                seconds.append(time.perf_counter() - start)
            yield {"channels_last": channels_last, "batch": batch, "ms_a_row": round(1000 * min(seconds) / batch, 2)}
