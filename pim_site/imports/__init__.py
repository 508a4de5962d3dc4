"""Rows of CSV, put in force as the entries of a file are: through the same services, all or nothing."""
