"""A database cluster with failover on loopback, for drills and tests: see `cluster.Cluster`.

`programs.missing_here()` says what this machine lacks for it; it needs neither Patroni nor psycopg.
"""
