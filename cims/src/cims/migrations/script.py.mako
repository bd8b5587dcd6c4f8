"""${message}"""

from cims.schema import run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Run the version's SQL files."""


def downgrade() -> None:
    """Back to the version before."""
