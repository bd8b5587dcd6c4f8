"""What database vendors ask of the kernel's memory settings, where they ask anything.

A product that is not in a table is one whose vendor gives no such advice that we know of: the
rule is then not applicable there, rather than borrowing somebody else's numbers.
"""

from dataclasses import dataclass

from forestall.model.facts import HolderFacts

ENGINES = {
    "postgres": "postgresql",
    "postmaster": "postgresql",
    "edb-postgres": "postgresql",
    "oracle": "oracle",
    "sqlservr": "mssql",
    "mongod": "mongodb",
    "redis-server": "redis",
    "valkey-server": "redis",
    "mysqld": "mysql",
    "mariadbd": "mysql",
}
"""Names of server processes to products; Redis and MySQL stand for their forks too."""

POSTGRES = tuple(name for name, product in ENGINES.items() if product == "postgresql")


def engine_of(database: HolderFacts) -> str:
    """Which product a database's main process is; one that is not known is called by its name."""
    name = database.process.name
    # Oracle's processes carry their instance: ora_pmon_ORCL is the one each instance has.
    return ENGINES.get(name) or ("oracle" if name.startswith(("ora_pmon_", "db_pmon_")) else name)


NAMES = {
    "postgresql": "PostgreSQL",
    "oracle": "Oracle Database",
    "mssql": "SQL Server",
    "mongodb": "MongoDB",
    "redis": "Redis",
    "mysql": "MySQL or MariaDB",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A vendor's range or set for one setting, the value to set, and where it says so."""

    low: int = 0
    high: int = 0
    allowed: tuple[str, ...] = ()
    wanted: str
    reference: str


SWAPPINESS = {
    "postgresql": Advice(
        low=1, high=10, wanted="3", reference="tuned's profile postgresql (3); 1 to 10 accepted"
    ),
    "oracle": Advice(
        low=1, high=10, wanted="10", reference="tuned's profile oracle (10); 1 to 10 accepted"
    ),
    "mssql": Advice(
        low=1,
        high=1,
        wanted="1",
        reference="Microsoft, Performance best practices for SQL Server on Linux; tuned's profile "
        "mssql (1)",
    ),
    "mongodb": Advice(
        low=0,
        high=10,
        wanted="1",
        reference="MongoDB production notes (1 or 0); up to 10 accepted",
    ),
    "mysql": Advice(
        low=1,
        high=10,
        wanted="1",
        reference="MariaDB, Configuring swappiness (1); 1 to 10 accepted",
    ),
}
"""vm.swappiness by product."""

HUGE_PAGES = {
    "postgresql": Advice(
        allowed=("never", "madvise"),
        wanted="never",
        reference="PostgreSQL documentation, huge_pages (transparent ones are discouraged); "
        "tuned's profile postgresql (never)",
    ),
    "oracle": Advice(
        allowed=("never", "madvise"),
        wanted="never",
        reference="Oracle Database installation guide for Linux, Disabling Transparent HugePages; "
        "tuned's profile oracle (never)",
    ),
    "redis": Advice(
        allowed=("never", "madvise"),
        wanted="madvise",
        reference="Redis documentation, Diagnosing latency issues",
    ),
    "mssql": Advice(
        allowed=("always", "madvise"),
        wanted="always",
        reference="Microsoft, Performance best practices for SQL Server on Linux; tuned's profile "
        "mssql (always, or madvise for several instances)",
    ),
}
"""Transparent huge pages by product.

MongoDB is left out: up to 7.0 it wants never, from 8.0 on always, and facts tell no version.
"""
