"""Which of several lines of an image count."""

from tests.runtime.output.run_folders import NAMES, ROWS, folder_and_journal, read_lines
from xaijax.runtime.output.journal import Journal


def test_a_later_explanation_stands_in_place_of_an_error_and_not_the_other_way(tmp_path):
    name, failed = NAMES[0], {"path": NAMES[0], "error": "it is gone."}
    _, journal = folder_and_journal(tmp_path)
    journal.add(0, [failed])
    journal.scan()
    assert journal.is_done(name)
    assert not journal.is_explained(name)
    assert journal.failures(NAMES, 10) == [(name, "it is gone.")]
    journal.mark(0, [name])
    assert not journal.is_done(name)
    assert not folder_and_journal(tmp_path)[1].is_done(name)  # nor for any other process
    journal.add(0, [{**ROWS[0], "target": 3}, failed])
    journal.scan()
    assert list(journal.rows([name])) == [[{**ROWS[0], "target": 3}]]
    assert journal.is_explained(name)
    assert journal.failed_lines(name) == 0


def test_an_image_of_several_classes_is_done_with_the_last(tmp_path):
    journal = Journal(tmp_path, rows_per_image=2)
    rows = [{**ROWS[0], "target": target, "files": f"a_{target}"} for target in (4, 1)]
    for count in (1, 2):
        journal.add(0, rows[:count])
        journal.scan()
        assert journal.is_done("a.png") == (count == 2)
    assert list(journal.rows(["a.png"])) == [rows]
    assert journal.is_taken("a_4", "b.png")
    assert not journal.is_taken("a_4", "a.png")


def test_an_image_in_part_explained_that_cannot_be_read_again_ends_the_run(tmp_path):
    journal = Journal(tmp_path, rows_per_image=3)
    journal.add(0, [{**ROWS[0], "target": target} for target in (4, 1)])
    journal.add(0, [{"path": NAMES[0], "error": "it is gone."}])
    journal.scan()
    assert journal.is_done(NAMES[0])
    assert journal.failures(NAMES[:1], 10) == [(NAMES[0], "it is gone.")]


def test_within_a_journal_the_later_line_counts_whatever_the_clocks_say(tmp_path, monkeypatch):
    folder, journal = folder_and_journal(tmp_path, NAMES[:1])
    for moment, sha256 in ((2000, "old"), (1000, "new")):
        monkeypatch.setattr("time.time_ns", lambda moment=moment: moment)
        journal.add(0, [{**ROWS[0], "sha256": sha256}])
    assert folder.finish(journal, {})
    assert read_lines(tmp_path)[0]["sha256"] == "new"


def test_lines_of_pixels_that_were_replaced_are_not_those_of_the_image(tmp_path):
    def line(sha256, time, **more):
        return {**ROWS[0], "sha256": sha256, "bytes": 9, "mtime_ns": time, **more}

    folder, journal = folder_and_journal(tmp_path, ["a.png"])
    journal.add(5, [line("old", 1)])
    journal.add(0, [line("new", 2, target=3)])  # of a later start, with other blocks
    journal.scan()
    assert list(journal.rows(["a.png"])) == [[line("new", 2, target=3)]]
    copied = line("new", 7)
    journal.add(0, [copied])  # another class of the same pixels, whose file was copied meanwhile
    journal.scan()
    assert len(next(journal.rows(["a.png"]))) == 2
    assert folder.finish(journal, {})
    journal.add(0, [{"path": "a.png", "bytes": 4, "mtime_ns": 9, "error": "a.png is damaged."}])
    journal.scan()
    assert journal.failures(["a.png"], 10) == [("a.png", "a.png is damaged.")]
    assert not journal.is_explained("a.png")
