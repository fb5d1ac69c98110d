"""Text with names of files in it."""

from xaijax.printable import printable


def test_what_a_terminal_acts_upon_is_escaped_and_nothing_else():
    assert printable("Z\u00fcrich \u65e5\u672c, 'a b'.png") == "Z\u00fcrich \u65e5\u672c, 'a b'.png"
    assert printable("a\x1b[31m\n\u202e\x9b\udcff\ud800") == r"a\x1b[31m\n\u202e\x9b\udcff\ud800"
    assert printable(ValueError("x\r")) == r"x\r"
