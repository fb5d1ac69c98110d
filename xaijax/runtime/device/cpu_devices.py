"""Turns the cores of a CPU into separate JAX devices."""

import math
import os
from pathlib import Path

import jax


def use_all_cores(most: int | None = None) -> None:
    """Makes each core of the CPU a device, unless JAX has started or the number of devices is configured already.

    Two searches on one core each are a third faster than one on two cores (`benchmarks/NOTES.md`). Accelerators are not
    affected.

    Args:
        most: maximum number of cores to use; None is all of them.
    """
    cores = usable_cores()
    cores = cores if most is None else min(cores, most)
    is_forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if is_forced or getattr(jax.config, "jax_num_cpu_devices", -1) > 0:
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:  # JAX has started
        return


def usable_cores(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Returns how many cores this process may keep busy: those it may run on, and no more than its CPU quota pays for.

    A container is mostly given a quota, and sees all cores of its machine.

    Args:
        cgroups: where the control groups are mounted.
        own: names the group of this process.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(cores, _quota(cgroups, own))))


def _quota(cgroups: Path, own: Path) -> float:
    """Returns the CPU quota of this process's control group, in cores, the lowest of it and those that it lies in.

    References:
        The Linux kernel's documentation of cgroup v2 (`cpu.max`) and v1 (`cpu.cfs_quota_us`).
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:  # not Linux
        return math.inf
    quotas = [math.inf]
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / controllers if controllers else cgroups
        inside = root / path.lstrip("/")
        for group in (inside, *inside.parents):
            if group == cgroups.parent:
                break
            quotas.append(_quota_of(group))
    return min(quotas)


def _quota_of(group: Path) -> float:
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return math.inf if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
