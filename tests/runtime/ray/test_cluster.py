"""How a Ray cluster is divided among actors, and what is said where there is none."""

import subprocess
import sys

import pytest

from xaijax.cli.main import main
from xaijax.runtime.ray.cluster import Pool, find_pool


@pytest.mark.parametrize(
    ("nodes", "workers", "expected", "room"),
    [
        ([{"CPU": 8}], None, Pool(8, None), 1),
        ([{"CPU": 8}], 2, Pool(4, None), 2),
        ([{"CPU": 8}], 3, Pool(2, None), 4),
        ([{"CPU": 2}], 5, Pool(1, None), 2),
        ([{"CPU": 8}, {"CPU": 16}, {"memory": 1e9}], None, Pool(8, None), 3),
        ([{"CPU": 8}, {"CPU": 8}], 3, Pool(4, None), 4),
        ([{"CPU": 64, "GPU": 4}, {"CPU": 8}], None, Pool(None, 1), 4),
        ([{"CPU": 64, "GPU": 4}], 2, Pool(None, 1), 4),
        ([], None, Pool(1, None), 0),
    ],
)
def test_an_actor_takes_a_gpu_or_the_cpus_of_the_smallest_node_or_fewer_where_more_must_fit(
    nodes, workers, expected, room
):
    pool = find_pool(nodes, workers)
    assert pool == expected
    assert pool.room(nodes) == room


def test_a_missing_ray_is_said_with_its_remedy(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["explain", "photos", "--model", "scenes-resnet", "--engine", "ray", "--out", str(tmp_path / "run")]
    assert main(command) == 2
    assert capsys.readouterr().err == ("xaijax: --engine ray needs Ray; install it with `pip install 'xaijax[ray]'`.\n")
    assert not (tmp_path / "run").exists()


def test_the_command_line_imports_no_ray():
    subprocess.run(
        [sys.executable, "-c", "import sys, xaijax.cli.explain; assert 'ray' not in sys.modules"], check=True
    )
