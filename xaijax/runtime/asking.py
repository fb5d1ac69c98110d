"""From a command's options to the job that they ask for."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import jax

import xaijax
from xaijax.explain import Method
from xaijax.models.zoo import load
from xaijax.runtime.commands import FREE, Asked
from xaijax.runtime.job import Job
from xaijax.runtime.targets import find_against, find_target


def make_job(options: Asked, method: Method, *, images: int | None = None) -> Job:
    """Loads the classifier and describes what the options ask of it.

    Args:
        options: of `explain` or `warmup`.
        method: as its own options have it.
        images: of the input; None for more than a batch.

    Raises:
        ValueError: an option does not fit; the message says which and how it can be mended.
    """
    if options.batch_size != "auto" and options.batch_size < 1:
        raise ValueError(f"batch-size is {options.batch_size} but must be at least 1.")
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
        full = max(8, 4 * len(jax.local_devices()))
        batch_size = full if images is None else min(images, full)
    else:
        batch_size = options.batch_size
    job = Job(
        classifier=classifier,
        method=method,
        target=target,
        against=against,
        seed=options.seed,
        batch_size=batch_size,
        save=getattr(options, "save", ()),
        settings={},
    )
    return dataclasses.replace(job, settings=_settings(options, job))


def _settings(options: Asked, job: Job) -> dict[str, Any]:
    """Returns what makes two runs the same: all that the results depend on."""
    asked = {
        key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items() if key not in FREE
    }
    return asked | {
        "options": dataclasses.asdict(job.method),  # type: ignore[call-overload]
        "weights_sha256": digest_of(options.weights),
        "micro_batch": job.micro_batch,
        "version": xaijax.__version__,
    }


def digest_of(weights: str | None) -> str | None:
    """Returns the SHA-256 of a file of weights; None for what is no file."""
    if weights is None or not Path(weights).is_file():
        return None
    with open(weights, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
