"""`xaijax report`: the page of a finished run, written into its folder."""

from pathlib import Path

from xaijax.atomic_files import atomic_write, check_writable
from xaijax.report.html_page import render_page
from xaijax.runtime.layout import PAGE
from xaijax.runtime.output.record import read_record
from xaijax.runtime.output.result_files import files_of
from xaijax.runtime.output.result_lines import Row, read_results


def write_page(folder: Path) -> Path:
    """Writes `index.html` of a finished run and returns its path.

    Raises:
        ValueError: the folder holds no finished run, or may not be written to.
    """

    def picture(row: Row) -> str | None:
        path = files_of(folder, row.get("files", ""))["overlays"]
        return path.name if path.exists() else None

    model = str(read_record(folder)["settings"].get("model", "the classifier"))
    check_writable(folder)
    page = render_page(model, read_results(folder), picture)
    # A path may hold bytes that are not UTF-8.
    atomic_write(folder / PAGE, page.encode(errors="backslashreplace"))
    return folder / PAGE
