"""Work ahead of and behind the device: the order, the bound, and what becomes of errors."""

import itertools
import threading
import time

import pytest

from xaijax.runtime.prefetch import WriteBehind, prefetch


def test_results_come_in_order_whoever_is_ready_first():
    def slow_first(item):
        time.sleep(0.05 if item % 3 == 0 else 0)
        return 10 * item

    assert list(prefetch(slow_first, range(10), workers=4, room=4)) == [10 * item for item in range(10)]
    assert list(prefetch(slow_first, [], workers=2, room=2)) == []


def test_no_more_is_read_than_there_is_room_for():
    taken = []

    def items():
        for item in itertools.count():
            taken.append(item)
            yield item

    results = prefetch(lambda item: item, items(), workers=2, room=5)
    assert [next(results) for _ in range(20)] == list(range(20))
    assert len(taken) == 25
    results.close()


def test_an_error_comes_where_its_result_would():
    def fail_at_three(item):
        if item == 3:
            raise ValueError("three")
        return item

    results = prefetch(fail_at_three, range(10), workers=3, room=3)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_tasks_are_done_in_order_behind_and_all_at_the_end():
    done = []
    with WriteBehind(2) as behind:
        for number in range(20):
            behind.do(lambda number: (time.sleep(0.002), done.append(number)), number)
    assert done == list(range(20))


def test_who_is_too_far_ahead_waits():
    gate, given = threading.Event(), []

    def give(behind):
        for number in range(5):
            behind.do(gate.wait)
            given.append(number)

    with WriteBehind(1) as behind:
        giver = threading.Thread(target=give, args=(behind,))
        giver.start()
        time.sleep(0.2)
        assert given == [0, 1]
        gate.set()
        giver.join()
    assert given == [0, 1, 2, 3, 4]


def test_after_an_error_nothing_more_is_done():
    done = []

    def fail():
        raise OSError("full")

    def give():
        with WriteBehind(5) as behind:
            behind.do(done.append, 1)
            behind.do(fail)
            behind.do(done.append, 2)

    with pytest.raises(OSError, match="full"):
        give()
    assert done == [1]


def test_what_was_given_is_done_though_the_giver_fails():
    done = []

    def give():
        with WriteBehind(5) as behind:
            behind.do(lambda: (time.sleep(0.05), done.append(1)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give()
    assert done == [1]
