"""What every test holds to, and what several of them use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from xaijax import Classifier

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

CLASSES = 5


def mean_logits(params, images):
    """A classifier of few milliseconds: the means of 4x4 tiles, through a random layer."""
    count, height, width, channels = images.shape
    tiles = images.reshape(count, 4, height // 4, 4, width // 4, channels).mean(axis=(2, 4)).reshape(count, -1)
    return jnp.tanh(tiles @ params["hidden"]) @ params["out"]


def pytest_collection_modifyitems(items):
    """Begins with the files that have slow tests, so that no process is left with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Keeps what commands compile out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", autouse=True)
def forget_what_was_compiled():
    """Drops the programs of a file after it, and the cache on disk that a command of it has turned on.

    A compiled search holds some thousand memory maps, of which Linux gives a process 65,530. `explain` bounds its own;
    what tests compile beside it adds up to more.
    """
    before = jax.config.jax_compilation_cache_dir
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    reset_cache()
    jax.clear_caches()


@pytest.fixture(scope="module", autouse=True)
def compile_as_marked(request):
    """Compiles the programs of a file marked `quick_compile` in half of the time, and less fast ones."""
    quick = request.node.get_closest_marker("quick_compile") is not None
    jax.config.update("jax_disable_most_optimizations", quick)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def toy_classifier():
    """A cheap classifier of 16x16 RGB images, of 5 classes, whose answer depends on every tile of the image."""
    random = np.random.default_rng(0)
    params = {
        "hidden": jnp.asarray(random.normal(size=(48, 32)), jnp.float32),
        "out": jnp.asarray(random.normal(size=(32, CLASSES)), jnp.float32),
    }
    return Classifier.from_function(mean_logits, params, num_classes=CLASSES, input_size=(16, 16))


@pytest.fixture(scope="session")
def toy_images():
    """Eight 16x16 RGB images of smooth colours."""
    random = np.random.default_rng(1)
    coarse = random.uniform(0, 255, size=(8, 4, 4, 3))
    return np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2).astype(np.uint8)
