"""Numbers for Prometheus: what waits and what fails, read when they are asked for, and how long requests took.

The text is written here: it is a dozen lines, and the client library would have every process of the web server keep
its numbers in files of a common folder, which several hosts do not have. The database has them all.
"""
