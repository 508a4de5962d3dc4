"""The dashboard of the console: `period` (from when to when), `figures` (the questions to the database), `charts` (what
is drawn, with the same numbers in a table), `panels` (which of it somebody may see), `views`."""
