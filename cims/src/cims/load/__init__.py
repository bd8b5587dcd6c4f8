"""Clients that order by the protocol, the history they write, and the figures read from it.

The protocol: the client makes the key and writes it down before it sends. When the outcome is
unknown it connects again, to whoever leads then, and sends the same key and body; never a new key.
"""
