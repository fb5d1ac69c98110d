"""Text that may hold names of files, made fit to be printed."""


def printable(text: object) -> str:
    """Returns a text in which control characters, and others that a terminal acts upon, stand as Python's escapes.

    A name of a file may hold any of them: a new line that feigns a message, codes that write elsewhere on the screen.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))
