"""`python -m embedrec` is the command line."""

from embedrec.cli.main import main

main()
