"""What was measured so far, a line a row, so that the same command goes on where it was stopped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Journal:
    """Rows in a file of JSON lines, the first of which holds the settings that all others depend on."""

    def __init__(self, path: Path, settings: dict[str, Any]):
        """Opens a journal, or begins it.

        Args:
            path: of the file.
            settings: JSON can hold them.

        Raises:
            ValueError: the file was begun with other settings.
        """
        self._path = path
        text = path.read_text() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a killed process may leave half a line
        path.parent.mkdir(exist_ok=True)
        path.write_text(whole or json.dumps(settings) + "\n")
        begun, *self.rows = [json.loads(line) for line in path.read_text().splitlines()]
        if different := [name for name in settings if begun.get(name) != settings[name]]:
            raise ValueError(
                f"{path.name} was begun with another {', '.join(different)}; ask for the same, remove the file, or "
                "name another with --name."
            )

    def once(self, measure: Callable[[], Row], **key: Any) -> Row:
        """Returns the row of a key, which is measured and written where it never was."""
        return self.find(**key) or self._add(key | measure())

    def find(self, **key: Any) -> Row:
        """Returns the row of a key; empty where there is none."""
        return next((row for row in self.rows if all(row.get(name) == value for name, value in key.items())), {})

    def all(self, **key: Any) -> list[Row]:
        """Returns the rows that agree with a key, in the order in which they were measured."""
        return [row for row in self.rows if all(row.get(name) == value for name, value in key.items())]

    def _add(self, row: Row) -> Row:
        self.rows.append(row)
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        told = ("kind", "method", "setting", "image", "seconds", "passes")
        print(*(row[name] for name in told if row.get(name) is not None), sep=", ", flush=True)
        return row
