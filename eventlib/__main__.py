"""`python -m eventlib`."""

from eventlib.cli import main

main()
