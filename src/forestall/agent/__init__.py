"""Wires stages 1 to 4 on one host: sense -> detect -> guard -> evidence, once per tick.

`loop` is the tick; `config`, `exposition`, `server`, `spool`, `recall`, `budget`, `log` and
`waiting` are its organs. Standard library only: it must stay small on a dying host.
"""
