"""A folder of one's own in which the pipeline runs: what is written into it, the demo, and the servers of `dev`.

The files beside the modules become files of a project. Those that this repository has at its top, too, are copies,
which `make docs` writes.
"""
