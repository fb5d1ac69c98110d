"""From a command's options to the job that they ask for."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import jax

import xaijax
from xaijax.cli.options import FREE, RunOptions
from xaijax.execution.compiled import Method
from xaijax.models.hub import fetch
from xaijax.models.zoo import load
from xaijax.runtime.job import Job
from xaijax.runtime.targets import find_against, find_target
from xaijax.sequential import GROUP, default_platform

CLASSIFIER_SETTINGS = ("model", "weights_sha256", "num_classes", "mean", "std", "padding", "dtype", "labels_sha256")
"""Settings that a classifier follows from."""


def make_job(options: RunOptions, method: Method, *, images: int | None = None, platform: str | None = None) -> Job:
    """Loads the classifier and describes what the options ask of it.

    Args:
        options: of `explain` or `warmup`.
        method: as its own options have it.
        images: of the input; None for more than a batch.
        platform: of the devices that search, where that is not this process.

    Raises:
        ValueError: an option does not fit; the message says which and how it can be mended.
    """
    if options.batch_size != "auto" and options.batch_size < 1:
        raise ValueError(f"batch-size is {options.batch_size} but must be at least 1.")
    check_seed(options.seed)
    jax.config.update("jax_enable_x64", False)  # whatever the environment says: all is computed in 32 bits
    weights = digest_of(options.weights)
    classifier = load(
        options.model,
        options.weights,
        num_classes=options.num_classes,
        mean=options.mean,
        std=options.std,
        padding=options.padding,
        dtype=options.dtype,
        labels=options.labels,
    )
    target, against = find_target(options.target, classifier), find_against(options.against, classifier)
    if target == against:
        raise ValueError(f"against {options.against!r} is the target itself; name another class, or runner-up.")
    if options.batch_size == "auto":
        full = auto_batch_size(platform or default_platform(), len(jax.local_devices()))
        batch_size = full if images is None else min(images, full)
    else:
        batch_size = options.batch_size if images is None else min(options.batch_size, images)
    job = Job(
        classifier=classifier,
        method=method,
        target=target,
        against=against,
        seed=options.seed,
        batch_size=batch_size,
        save=getattr(options, "save", ()),
        settings={},
        allow_version_change=getattr(options, "allow_version_change", False),
        platform=platform,
    )
    settings = _settings(options, job)
    if settings["weights_sha256"] != weights:
        raise ValueError(f"weights {options.weights!r} changed while they were read; start the command again.")
    return dataclasses.replace(
        job, settings=settings, origin=repr([(name, settings[name]) for name in CLASSIFIER_SETTINGS])
    )


def check_seed(seed: int) -> None:
    """Raises ValueError unless JAX tells a seed from others: of one of more than 32 bits it reads the last 32 alone."""
    if not 0 <= seed < 1 << 32:
        raise ValueError(f"seed is {seed} but must be a number from 0 to {(1 << 32) - 1}; choose another.")


def auto_batch_size(platform: str, devices: int) -> int:
    """Returns how many images are searched at a time where nobody says.

    On CPU a few keep a core busy. Elsewhere a generation of all images should fill several micro-batches.

    Args:
        platform: "cpu", "gpu" or "tpu".
        devices: of the process.
    """
    return max(8, 4 * devices) if platform == "cpu" else GROUP * devices


def _settings(options: RunOptions, job: Job) -> dict[str, Any]:
    """Returns what makes two runs the same: all that the results depend on."""
    requested = {
        key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items() if key not in FREE
    }
    return requested | {
        "options": dataclasses.asdict(job.method),  # type: ignore[call-overload]
        "weights_sha256": digest_of(options.weights),
        "labels_sha256": digest_of(options.labels),
        "micro_batch": job.micro_batch,
        "version": xaijax.__version__,
        "jax": jax.__version__,
    }


def digest_of(weights: str | Path | None) -> str | None:
    """Returns the SHA-256 of a file, of the files in a folder, or of what `hf:owner/repo` is now; None for None."""
    if weights is None:
        return None
    if str(weights).startswith("hf:"):
        return digest_of(fetch(str(weights).removeprefix("hf:")).path)
    if not Path(weights).is_dir():
        with open(weights, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    listing = "".join(f"{digest_of(path)} {path.name}\n" for path in sorted(Path(weights).iterdir()) if path.is_file())
    return hashlib.sha256(listing.encode()).hexdigest()
