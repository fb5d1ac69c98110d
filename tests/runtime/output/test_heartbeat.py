"""Who works in a folder: the living are left alone, and the dead stop nobody."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from xaijax.runtime.layout import BLOCKS
from xaijax.runtime.output import heartbeat
from xaijax.runtime.output.heartbeat import FolderInUseError, holding, working_in
from xaijax.runtime.partition import Partition

WORKER = """
import pathlib, sys, time
from xaijax.runtime.output.heartbeat import working_in
from xaijax.runtime.partition import Partition
with working_in(pathlib.Path(sys.argv[1]), Partition(int(sys.argv[2]), int(sys.argv[3]))):
    print("at work", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def worker(tmp_path):
    """Starts a process that works in the folder; it is killed at the end of the test."""
    started = []

    def start(index=0, count=1):
        command = [sys.executable, "-c", WORKER, str(tmp_path), str(index), str(count)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "at work\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.02)
    monkeypatch.setattr(heartbeat, "WATCH_S", 0.5)


def elsewhere(folder, index=0, count=1, block=64, **more):
    """Writes the file of a process of another machine."""
    (folder / BLOCKS).mkdir(exist_ok=True)
    file = folder / BLOCKS / f"process-{index}.alive"
    share = {"index": index, "count": count, "block": block}
    about = {"share": share, "host": "far", "system": "another", "pid": 1, "started": "1", "beats": "000000000000"}
    file.write_text(json.dumps(about | more))
    return file


def test_a_process_beats_while_it_works_and_leaves_nothing(tmp_path, quick):
    with working_in(tmp_path, Partition()):
        (file,) = (tmp_path / BLOCKS).iterdir()
        first = json.loads(file.read_text())
        assert (first["pid"], first["share"]) == (os.getpid(), {"index": 0, "count": 1, "block": 64})
        deadline = time.monotonic() + 60
        while json.loads(file.read_text() or "{}").get("beats", first["beats"]) == first["beats"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []


def test_it_leaves_nothing_when_it_fails_either(tmp_path):
    with pytest.raises(KeyboardInterrupt), working_in(tmp_path, Partition()):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_second_of_two_processes_leaves_until_the_first_is_killed(tmp_path, worker):
    first = worker()
    sentence = rf"another process \(number {first.pid} on '.*'\) is explaining these images into '.*'; wait for it"
    with pytest.raises(FolderInUseError, match=sentence), working_in(tmp_path, Partition()):
        pytest.fail("two at work")
    first.kill()
    first.wait()
    assert len(list((tmp_path / BLOCKS).iterdir())) == 1  # it could not tidy up
    with working_in(tmp_path, Partition()):
        pass


def test_processes_with_shares_of_their_own_work_side_by_side(tmp_path, worker):
    worker(0, 3)
    with working_in(tmp_path, Partition(1, 3)):
        pass
    for overlapping in (Partition(0, 3), Partition(1, 2), Partition(0, 1), Partition(1, 3, 7)):
        with pytest.raises(FolderInUseError), working_in(tmp_path, overlapping):
            pytest.fail("two at work")


def test_a_process_that_was_killed_and_whose_number_is_used_again_is_dead(tmp_path):
    with working_in(tmp_path, Partition()):
        about = json.loads((tmp_path / BLOCKS / "process-0.alive").read_text())
    file = elsewhere(tmp_path, **about | {"started": "7"})
    with working_in(tmp_path, Partition()):
        assert json.loads(file.read_text())["started"] == about["started"]


def test_a_process_elsewhere_that_does_not_beat_is_dead(tmp_path, quick, capsys):
    elsewhere(tmp_path)
    with working_in(tmp_path, Partition()):
        pass
    assert "processes on 'far' were at work here; checking" in capsys.readouterr().err


def test_a_process_elsewhere_that_beats_is_left_alone(tmp_path, quick):
    file, over = elsewhere(tmp_path), threading.Event()

    def beat():
        beats = 0
        while not over.wait(0.02):
            beats += 1
            elsewhere(tmp_path, beats=f"{beats:012d}")

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(FolderInUseError, match="number 1 on 'far'"), working_in(tmp_path, Partition()):
            pytest.fail("two at work")
    finally:
        over.set()
        thread.join()
    assert file.exists()


def test_a_file_that_is_none_stops_nobody(tmp_path):
    file = elsewhere(tmp_path)
    file.write_bytes(b"junk")
    with working_in(tmp_path, Partition()):
        assert json.loads(file.read_text())["pid"] == os.getpid()


def test_the_finished_run_takes_the_file_away_and_it_stays_away(tmp_path, quick):
    with working_in(tmp_path, Partition()):
        (tmp_path / BLOCKS / "process-0.alive").unlink()
        (tmp_path / BLOCKS).rmdir()
        time.sleep(0.1)
        assert not (tmp_path / BLOCKS).exists()


def test_a_lock_that_a_killed_process_held_is_taken_over(tmp_path, worker):
    first = worker(0, 2)
    about = json.loads((tmp_path / BLOCKS / "process-0.alive").read_text())
    lock = tmp_path / BLOCKS / "merge.holder"
    lock.write_text(about["writer"])
    first.kill()
    first.wait()
    for _ in range(2):
        with holding(tmp_path, lock):
            assert lock.read_text() == heartbeat.WRITER
        assert not lock.exists()
    lock.write_text("nobody")
    with holding(tmp_path, lock):
        assert lock.read_text() == heartbeat.WRITER
    elsewhere(tmp_path, writer="far away")
    assert not list(tmp_path.rglob("*.part"))


def test_a_lock_of_a_process_elsewhere_is_taken_over_once_it_does_not_beat(tmp_path, quick):
    elsewhere(tmp_path, writer="far away")
    lock = tmp_path / BLOCKS / "merge.holder"
    lock.write_text("far away")
    started = time.monotonic()
    with holding(tmp_path, lock):
        assert time.monotonic() - started >= heartbeat.WATCH_S


def test_a_lock_of_a_living_process_is_waited_for(tmp_path, worker):
    worker(0, 2)
    lock = tmp_path / BLOCKS / "merge.holder"
    lock.write_text(json.loads((tmp_path / BLOCKS / "process-0.alive").read_text())["writer"])
    held = threading.Event()

    def hold():
        with holding(tmp_path, lock):
            held.set()

    thread = threading.Thread(target=hold)
    thread.start()
    assert not held.wait(1)
    lock.unlink()  # it lets go
    assert held.wait(10)
    thread.join()
