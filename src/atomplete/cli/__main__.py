"""``python -m atomplete.cli`` is the same as ``atomplete``."""

from atomplete.cli import main

if __name__ == "__main__":
    main()
