"""`xaijax report`: the page of a finished run, drawn again."""

from xaijax.cli.exit_codes import EXPLAINED
from xaijax.cli.options import ReportOptions
from xaijax.runtime.output.page_file import write_page


def run(options: ReportOptions) -> int:
    """Draws the page, and prints where it is."""
    print(write_page(options.folder))
    return EXPLAINED
