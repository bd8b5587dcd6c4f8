"""What `audit` reads hosts from when it does not look itself: one file per input.

Each input is a generator of `Seen`: one host that cannot be read is a `Seen` with a problem and
never stops the others; an input that cannot be read at all is a ForestallError.
"""
