"""Signals as a request to stop."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from xaijax.runtime.signals import stopped_by_signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_asks_and_says_so(number, code, capsys):
    before = signal.getsignal(number)
    with stopped_by_signals() as stop:
        assert stop.exit_code == 0
        os.kill(os.getpid(), number)
        assert stop.event.wait(5)
        assert stop.exit_code == code
    assert signal.getsignal(number) is before
    assert "stopping after the images in flight; press Ctrl-C again" in capsys.readouterr().err


# The main thread is in C, where Python handles no signal: as in a compiler.
BUSY = """
import ctypes
from xaijax.runtime.signals import stopped_by_signals
with stopped_by_signals() as stop:
    print("begun", flush=True)
    ctypes.CDLL(None).sleep(30)  # once more for each signal that wakes it
    ctypes.CDLL(None).sleep(30)
    ctypes.CDLL(None).sleep(30)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_stops_at_once_whatever_the_process_does(number, code):
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert "stopping after the images in flight" in process.stderr.readline()
        start = time.perf_counter()
        process.send_signal(number)
        assert process.wait(5) == code
        assert time.perf_counter() - start < 1
        assert "stopped at once" in process.stderr.read()


@pytest.mark.parametrize("after", [0.05, 0.15, 0.3, 0.6])
def test_a_start_that_is_interrupted_leaves_no_traceback(after, tmp_path):
    code = "from xaijax.cli import exit_with_code; print('begun', flush=True); exit_with_code()"
    command = [sys.executable, "-c", code, "explain", str(tmp_path / "none.png"), "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
        error = process.stderr.read()
    assert code == 130, error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1, error


def test_for_machines_a_signal_is_told_as_json(capsys):
    with stopped_by_signals(as_json=True) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.event.wait(5)
    assert json.loads(capsys.readouterr().err)["message"].startswith("stopping after")
