"""Weights from the Hugging Face hub: the file, and the facts in its `config.json`."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

_NEEDED = "model.safetensors"

MOST = 1 << 20
"""Classes, channels, or pixels of a side that a `config.json` may state."""


@dataclasses.dataclass(frozen=True)
class Published:
    """Published weights, and what their source states about them.

    Attributes:
        path: of the safetensors file.
        architecture: timm's name of the network; empty where it is not stated.
        num_classes: None where it is not stated.
        facts: those fields of `Classifier` that the source states.
    """

    path: Path
    architecture: str = ""
    num_classes: int | None = None
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


def fetch(source: str) -> Published:
    """Fetches weights through the cache of `huggingface_hub`; its offline mode (`HF_HUB_OFFLINE`) applies.

    Args:
        source: `owner/repo` or `owner/repo@revision`.

    Raises:
        ValueError: the library is not installed, the repository or the file does not exist, or there is no network.
    """
    repo, _, revision = source.partition("@")
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise ValueError(f"weights 'hf:{source}' is no repository; write hf:owner/repo or hf:owner/repo@revision.")
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError(
            f"weights 'hf:{source}' need huggingface_hub; install it with `pip install 'xaijax[hub]'`."
        ) from error

    def file(name: str) -> Path:
        try:
            return Path(huggingface_hub.hf_hub_download(repo, name, revision=revision or None))
        # The library's errors derive from OSError, ValueError or its HTTP client's error, depending on its version.
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "no reason given")
            # What is not there stays away; all else, such as a network that is down, may pass.
            kinds = [kind.__name__ for kind in type(error).__mro__]
            is_missing = kinds[0] != "LocalEntryNotFoundError" and any("NotFound" in kind for kind in kinds)
            raise ValueError(
                f"{name} of {repo}{f' at {revision}' if revision else ''} could not be fetched "
                f"({type(error).__name__}: {reason}); "
                "check the name and the network, or download the file and pass its path."
            ) from (error if is_missing else ConnectionError(reason))

    path = file(_NEEDED)
    try:
        config = json.loads(file("config.json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"config.json of {repo} is not JSON ({error}); pass the weights' path instead.") from error
    try:
        published = read_config(config)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"config.json of {repo} is damaged ({error}); pass the weights' path instead.") from error
    return Published(path, **published)


def read_config(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of `Published`, except the path, from a timm `config.json`.

    Raises:
        ValueError: a value is not of its kind, or another error of Python's where the whole is not.
    """
    published = config.get("pretrained_cfg", config)
    facts: dict[str, Any] = {}
    for fact in ("mean", "std"):
        if fact in published:
            facts[fact] = tuple(_number(value, fact) for value in published[fact])
    if published.get("interpolation") in ("bilinear", "bicubic"):
        facts["interpolation"] = published["interpolation"]
    if "input_size" in published:
        channels, height, width = (_count(value, "input_size") for value in published["input_size"])
        facts["channels"], facts["input_size"] = channels, (height, width)
        share = _number(published.get("crop_pct", 0.875), "crop_pct")
        facts["resize"] = _count(math.floor(min(height, width) / share), "the size before the crop")
    names = config.get("label_names") or published.get("label_names")
    if names:
        facts["labels"] = tuple(str(name) for name in names)
    num_classes = config.get("num_classes", published.get("num_classes"))
    return {
        "architecture": str(config.get("architecture", published.get("architecture", ""))),
        "num_classes": None if num_classes is None else _count(num_classes, "num_classes"),
        "facts": facts,
    }


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}")
    return value


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise ValueError(f"{name} is {value!r}")
    return value
