"""What a run would do, before it does anything: images, forward passes, time and disk."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import jax

from xaijax.execution.sharding import count_devices
from xaijax.runtime.device.roofline import forward_rate
from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Job
from xaijax.runtime.layout import RUN
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.record import check_is_free, check_settings, read_record
from xaijax.runtime.partition import Partition

BYTES = {"masks": 0.04, "scores": 4.0, "overlays": 3.2, "packed": 0.1, "full-size": 1.0}
"""On disk, for each pixel that the classifier sees, measured on photographs of 500 pixels; exact for scores."""

LINE = 520
"""Bytes of an explanation's line."""


def estimate(sources: Sequence[Source], job: Job, out: Path, partition: Partition) -> str:
    """Returns what there is left to do, in lines; forward passes are timed for some seconds, nothing is written.

    Args:
        sources: of the images.
        job: what to explain and how.
        out: the folder, which may hold a part of the run.
        partition: of this process.
    """
    if out.exists():
        if not (out / RUN).exists():
            check_is_free(out)
        else:
            check_settings(out, read_record(out), job.settings, allow_version_change=job.allow_version_change)
    journal = Journal(out, rows_per_image=job.rows_per_image)
    mine = [source for index, source in enumerate(sources) if partition.has(index)]
    left = sum(not journal.is_done(source.name) for source in mine)
    devices = count_devices(job.batch_size)
    budget = getattr(job.method, "evaluations", 1) * job.rows_per_image
    second = devices / forward_rate(job.classifier, job.micro_batch, devices=devices)
    height, width = job.classifier.input_size
    pixels = height * width * job.rows_per_image
    disk = left * (LINE * job.rows_per_image + sum(BYTES[name] * pixels for name in job.save))
    of_share = f", {len(mine)} of them in the share of this process" if partition.count > 1 else ""
    took = timedelta(seconds=round(left * budget * second / devices))
    return "\n".join(
        [
            f"images       {len(sources)}{of_share}; {left} left to explain, unless they cannot be read",
            f"evaluations  at most {budget} an image, {left * budget:,} in all",
            f"devices      {devices} x {jax.local_devices()[0].device_kind}; {job.batch_size} images at a time, "
            f"micro-batch {job.micro_batch}",
            f"time         about {took}, from {1000 * second:.1f} ms a forward pass; segmentation comes on top",
            f"disk         about {disk / 1e6:,.1f} MB for {', '.join(('results', *job.save))}",
        ]
    )
