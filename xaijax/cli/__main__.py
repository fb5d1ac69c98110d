"""`python -m xaijax.cli`."""

from xaijax.cli import exit_with_code

if __name__ == "__main__":
    exit_with_code()
