"""Looks for files that break a reader, guided by coverage: `python -m tests.fuzzing image --seconds 600`.

Needs `pip install atheris`, for Python 3.11 to 3.13. It begins with the corpus and goes on until the time is up; where
the number behind `cov:` no longer grows, more time finds no more. What it finds is written to `--out`; a find that is
mended belongs into the corpus.
"""

import argparse
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["xaijax.runtime", "xaijax.models", "xaijax.cli", "PIL", "tarfile", "zipfile"]):
    from tests.fuzzing.corpus import examples
    from tests.fuzzing.readers import READERS, bound_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("finds"))
    options = parser.parse_args()
    seeds = options.out / options.reader
    seeds.mkdir(parents=True, exist_ok=True)
    for name, content in examples(options.reader).items():
        (seeds / name).write_bytes(content)
    warnings.simplefilter("ignore")
    bound_memory()
    limits = [f"-max_total_time={options.seconds}", "-max_len=65536", "-timeout=20", "-rss_limit_mb=4096"]
    atheris.Setup(
        [sys.argv[0], *limits, f"-artifact_prefix={options.out}/{options.reader}-", str(seeds)],
        READERS[options.reader],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
