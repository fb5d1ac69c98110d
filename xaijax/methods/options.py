"""What the options of methods must hold."""


def check_option(name: str, holds: bool, value: object, need: str) -> None:
    """Raises ValueError where an option does not hold what it needs."""
    if not holds:
        raise ValueError(f"{name} is {value!r} but must be {need}.")
