"""`xaijax models`: what can be loaded, and from where."""

from xaijax.cli.exit_codes import EXPLAINED
from xaijax.cli.options import ModelsOptions
from xaijax.models.catalogue import is_embedded, names


def run(options: ModelsOptions) -> int:
    """Prints one line per model."""
    width = max(map(len, names())) + 2
    for name in names():
        source = "embedded" if is_embedded(name) else "weights from a file: --weights NAME.safetensors"
        print(f"{name:<{width}}{source}")
    return EXPLAINED
