"""Version 1: the nouns, the ledger and the functions that alone write to it."""

from cims.schema import run_sql

revision = "v1"
down_revision = None


def upgrade() -> None:
    """Tables before the functions that name them."""
    for name in ("tables", "orders", "stock", "sync", "penalties", "settings"):
        run_sql(f"v1/{name}.sql")


def downgrade() -> None:
    """Everything goes; there is no version before."""
    run_sql("v1/drop.sql")
