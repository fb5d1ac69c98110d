"""Turns the cores of a CPU into separate JAX devices."""

import os

import jax


def use_all_cores(most: int | None = None) -> None:
    """Makes each core of the CPU a device, unless JAX has started or the number of devices is configured already.

    Two searches on one core each are a third faster than one on two cores (`benchmarks/NOTES.md`). Accelerators are not
    affected.

    Args:
        most: maximum number of cores to use; None is all of them.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = cores if most is None else min(cores, most)
    is_forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if is_forced or getattr(jax.config, "jax_num_cpu_devices", -1) > 0:
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:  # JAX has started
        return
