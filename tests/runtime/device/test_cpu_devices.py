"""How many cores a process may keep busy, with and without a quota."""

import math
import os

import pytest

from xaijax.runtime.device.cpu_devices import usable_cores

V1 = {"cpu,cpuacct/me/cpu.cfs_period_us": "100000\n"}
CORES = len(os.sched_getaffinity(0))


@pytest.fixture
def cgroups(tmp_path, monkeypatch):
    """Writes the files of control groups; returns their folder, and the file that names the group of the process."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))

    def write(own, files):
        (tmp_path / "cgroup").write_text(own)
        for name, content in files.items():
            (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "fs" / name).write_text(content)
        return tmp_path / "fs", tmp_path / "cgroup"

    return write


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),
        ("0::/pods/mine\n", {"pods/cpu.max": "300000 100000\n", "pods/mine/cpu.max": "max 100000\n"}, 3),
        ("3:cpu,cpuacct:/me\n2:memory:/me\n", V1 | {"cpu,cpuacct/me/cpu.cfs_quota_us": "400000\n"}, 4),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("0::/\n", {"cpu.max": "what is this\n"}, 8),
        ("junk\n", {}, 8),
    ],
)
def test_a_quota_bounds_the_cores(cgroups, own, files, cores):
    assert usable_cores(*cgroups(own, files)) == cores


def test_without_control_groups_it_is_the_cores_that_the_process_may_run_on(tmp_path):
    assert usable_cores(tmp_path, tmp_path / "none") == CORES
    assert 1 <= usable_cores() <= CORES < math.inf
