"""The real weights and photographs that some tests need: `shared/data` beside the checkout, or XAIJAX_SHARED_DATA."""

import lzma
import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("XAIJAX_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def shared(name: str) -> Path:
    """Returns a path below the shared data; skips the test where it is absent."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"needs shared data {name}; set XAIJAX_SHARED_DATA to its folder")
    return path


def weights(name: str) -> Path:
    """Returns the path of a weight set, unpacked once into the machine's folder for temporary files."""
    packed = shared(f"weights/{name}.safetensors.xz")
    folder = Path(tempfile.gettempdir()) / "xaijax-shared-data"
    path = folder / f"{name}.safetensors"
    if not path.exists():
        folder.mkdir(exist_ok=True)
        unpacked = lzma.decompress(packed.read_bytes())
        part = folder / f"{name}.{os.getpid()}.part"
        part.write_bytes(unpacked)
        part.replace(path)
    return path
