"""`xaijax warmup`: compiles for the processes of a cluster."""

import time

from xaijax.cli.exit_codes import EXPLAINED
from xaijax.cli.make_job import make_job
from xaijax.cli.options import WarmupOptions
from xaijax.execution.compiled import Method
from xaijax.runtime.device.compilation_cache import keep_compiled
from xaijax.runtime.device.cpu_devices import use_all_cores
from xaijax.runtime.executor import compile_job


def run(options: WarmupOptions, method: Method) -> int:
    """Compiles what `explain` with the same options needs, into the user's cache folder."""
    use_all_cores()
    folder = keep_compiled()
    if folder is None:
        raise ValueError("the cache folder cannot be written; set XDG_CACHE_HOME to one that can.")
    start = time.perf_counter()
    compile_job(make_job(options, method))
    print(f"compiled in {time.perf_counter() - start:.1f} s; kept in {folder}")
    return EXPLAINED
