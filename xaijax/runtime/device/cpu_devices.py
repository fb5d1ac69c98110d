"""The cores of a machine without an accelerator, each as a device of its own."""

import os

import jax


def use_all_cores(most: int | None = None) -> None:
    """Makes each core of the CPU a device, where JAX has not started yet and nothing else was asked for.

    Two searches of one core each are a third faster than one of two cores (`benchmarks/NOTES.md`). Accelerators are not
    touched.

    Args:
        most: cores to use, where others have a claim to the rest; None is all of them.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = cores if most is None else min(cores, most)
    asked = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if asked or getattr(jax.config, "jax_num_cpu_devices", -1) > 0:
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:  # JAX has started
        return
