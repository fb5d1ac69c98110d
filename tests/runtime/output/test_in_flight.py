"""Images that were being read when a process died."""

import contextlib
import threading
import time

import pytest

from xaijax.runtime.output.in_flight import InFlight


def dies_while_reading(file, *names, read=()):
    """Leaves the file as a process does that is killed while it reads images, after it has read others."""
    with (
        contextlib.suppress(KeyboardInterrupt),
        InFlight(file, readers=4) as in_flight,
        contextlib.ExitStack() as all_of,
    ):
        for name in read:
            with in_flight.reading(name):
                pass
        for name in names:
            all_of.enter_context(in_flight.reading(name))
        raise KeyboardInterrupt


def test_an_image_that_is_read_at_two_deaths_in_a_row_is_set_aside(tmp_path):
    file = tmp_path / "blocks" / "process-0.reading"
    assert not InFlight(file, readers=4).suspects
    dies_while_reading(file, "a", "b", read=["c"])
    second = InFlight(file, readers=4)
    assert (second.suspects, second.set_aside) == ({"a", "b"}, set())
    dies_while_reading(file, "a", read=["d"])
    third = InFlight(file, readers=4)
    assert (third.suspects, third.set_aside) == ({"b"}, {"a"})
    with third, third.reading("b"):
        pass
    assert not file.exists()
    assert not InFlight(file, readers=4).suspects


def test_a_suspect_that_is_read_is_none_and_one_whose_turn_did_not_come_stays_one(tmp_path):
    file = tmp_path / "process-0.reading"
    dies_while_reading(file, "a", "b")
    dies_while_reading(file, "c", read=["a"])
    third = InFlight(file, readers=4)
    assert (third.suspects, third.set_aside) == ({"b", "c"}, set())


@pytest.mark.parametrize("torn", [b'["begu', b"[1, 2, 3]\n", b"{}\n", b"\xff\n", b'[[], "a"]\n', b'["begun", []]\n'])
def test_a_damaged_file_accuses_nobody_wrongly(tmp_path, torn):
    file = tmp_path / "process-0.reading"
    dies_while_reading(file, "a\nb")
    file.write_bytes(file.read_bytes() + torn)
    assert InFlight(file, readers=4).suspects == {"a\nb"}


def test_a_suspect_is_read_on_its_own(tmp_path):
    file = tmp_path / "process-0.reading"
    dies_while_reading(file, "a")
    together, seen = set(), []

    def read(name):
        with in_flight.reading(name):
            together.add(name)
            time.sleep(0.05)
            seen.append({*together})
            together.discard(name)

    with InFlight(file, readers=4) as in_flight:
        threads = [threading.Thread(target=read, args=(name,)) for name in ("b", "c", "a", "d")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [names for names in seen if "a" in names] == [{"a"}]
    assert len(seen) == 4


def test_want_of_memory_makes_a_suspect(tmp_path):
    file = tmp_path / "process-0.reading"

    def run():
        with InFlight(file, readers=4) as in_flight, in_flight.reading("a"):
            raise MemoryError

    with pytest.raises(MemoryError):
        run()
    assert InFlight(file, readers=4).suspects == {"a"}
