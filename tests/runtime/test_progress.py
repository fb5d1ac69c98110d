"""What a process tells of its progress."""

import time

from xaijax.runtime import progress
from xaijax.runtime.progress import ProgressReporter, saying_if_slow


def test_without_a_terminal_a_line_appears_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY", 0.05)
    with ProgressReporter(7) as reporter:
        reporter.add(searched=2, failed=1, evaluations=60)
        time.sleep(0.5)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert set(lines) == {"xaijax: 3 of 7 images after 0 min."}
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_what_takes_long_is_told_and_what_does_not_is_not(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    with saying_if_slow("compiling."):
        pass
    time.sleep(0.3)
    assert capsys.readouterr().err == ""
    with saying_if_slow("compiling."):
        time.sleep(0.5)
    assert capsys.readouterr().err == "xaijax: compiling.\n"
