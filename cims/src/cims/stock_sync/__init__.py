"""stock-sync: the custom service that pulls the regions' feeds into the stock of the database.

It is the service of the incident: a small program beside a database, that nobody watched. By
itself it holds a bounded amount of memory. `LEAK=kind[:rate]` replaces exactly one of its parts by
the mistake that part is usually made with; `LEAK=kind/fixed[:rate]` runs the repaired part at the
same pace, so that whoever judges the first must also acquit the second.
"""
