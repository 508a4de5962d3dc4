"""The command `pim`: the API for people and pipelines at a terminal. It knows nothing of the site's own code."""
