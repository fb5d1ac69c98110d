"""The memory that a search needs on CPU, as the compiled program tells."""

import pytest

from benchmarks.speed.compile_check import Options, compile_for, shapes_only, topology_devices

MOST_MB = 2.0
"""A photograph's, beside what its search carries from generation to generation."""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["elime", "binary-masks"])
def test_memory_beside_the_state_is_bounded_on_cpu(method):
    options = Options(topology="cpu", evaluations=1000, dtype="float32")
    classifier = shapes_only("mobilenet_v2", options.dtype)
    compiled = compile_for(topology_devices(options), classifier, method, 256, options)
    beside_the_state = compiled.stage.memory_analysis().temp_size_in_bytes - compiled.state_bytes
    assert 0 < beside_the_state <= 256 * MOST_MB * 1e6
