"""Signals as a request to stop."""

import os
import signal

import pytest

from xaijax.runtime.signals import stopped_by_signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_asks_and_a_second_one_stops(number, code):
    before = signal.getsignal(number)
    with stopped_by_signals() as stop:
        assert stop.exit_code == 0
        os.kill(os.getpid(), number)
        assert stop.event.is_set()
        assert stop.exit_code == code
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
