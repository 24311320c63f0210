"""`python -m embedrec` is the command line."""

from embedrec.runtime.child_interpreters import leave_current_folder_out

leave_current_folder_out()

from embedrec.cli.main import main  # noqa: E402 (modules of the current folder must not be found before)

main()
