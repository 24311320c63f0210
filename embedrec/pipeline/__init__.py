"""The commands of the command line in Python: `prepare(…).train(…).build_index(…).similar(…)`.

Each step runs the workflow of its command and holds the artifact that this wrote. `Workspace` folders are shared with
the command line; without one, artifacts are in a temporary folder.
"""
