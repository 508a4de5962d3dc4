"""Every event of the audit, sent to where the operator watches all systems: in order, at least once (docs/siem.md).

The log itself is the outbox: an event is sent once it has its number, and how far a destination has come is one row
(`audit.models.Reader`), written after the batch was taken. Whoever dies in between sends it again, under the same ids.
"""
