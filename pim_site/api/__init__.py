"""The REST API: the same services as behind the pages, for programs.

All of it is in this package and not beside each app, as the console is: an answer shows what several floors hold.
"""
