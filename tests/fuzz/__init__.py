"""`python -m tests.fuzz` (`make fuzz-api`): a demo is asked what schemathesis makes up from the description of the API.

Made up alone, nearly every question would be refused for naming nobody and nothing. So four of five questions of the
right form are staged, by a hook, just before they are sent: ids become those of what is there (`known`), texts what can
be meant by them (`values`), and what they are about is made ready by other people first (`scenes`, on a `stage`). The
fifth goes out as it was made up, and so do those that are meant to be wrong.
"""
