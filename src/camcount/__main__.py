"""``python -m camcount``."""

from camcount.cli import main

main()
