"""The command line: one file a group of commands; parse, call one library function, print."""
