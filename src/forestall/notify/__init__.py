"""Notify: beside stage 3, tells people. A pure protocol and tiny senders, standard library only."""
