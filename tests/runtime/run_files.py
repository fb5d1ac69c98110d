"""The files of a run, as tests compare them."""

from xaijax.runtime.layout import RUN


def contents(folder):
    """Returns every file's bytes, without `run.json`, which holds timings."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != RUN
    }
