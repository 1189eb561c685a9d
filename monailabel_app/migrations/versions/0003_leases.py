"""A running job says which server holds it, and until when: several may share a queue."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """What runs has no holder, and so is queued again by the next server that starts."""
    op.add_column("jobs", sa.Column("holder", sa.String(36)))
    op.add_column("jobs", sa.Column("lease", sa.Float))
