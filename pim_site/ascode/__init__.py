"""The organisation as one readable file: written from what is there, and put in force through the same services."""
