"""Weights from the Hugging Face hub: the file, and the facts in its `config.json`."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

_NEEDED = "model.safetensors"


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
    """Returns the fields of `Published`, except the path, from a timm `config.json`."""
    published = config.get("pretrained_cfg", config)
    facts: dict[str, Any] = {}
    for fact in ("mean", "std"):
        if fact in published:
            facts[fact] = tuple(published[fact])
    if published.get("interpolation") in ("bilinear", "bicubic"):
        facts["interpolation"] = published["interpolation"]
    if "input_size" in published:
        channels, height, width = published["input_size"]
        facts["channels"], facts["input_size"] = channels, (height, width)
        facts["resize"] = math.floor(min(height, width) / published.get("crop_pct", 0.875))
    names = config.get("label_names") or published.get("label_names")
    if names:
        facts["labels"] = tuple(names)
    num_classes = config.get("num_classes", published.get("num_classes"))
    architecture = config.get("architecture", published.get("architecture", ""))
    return {"architecture": architecture, "num_classes": num_classes, "facts": facts}
