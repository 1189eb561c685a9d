"""Studies, their readings, and the chain of their records."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "studies",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
    )
    op.create_table(
        "readings",
        sa.Column("study", sa.Integer, sa.ForeignKey("studies.number"), primary_key=True),
        sa.Column("reader", sa.String(64), primary_key=True),
        sa.Column("session", sa.Integer, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("case", sa.String(64), nullable=False),
        sa.Column("arm", sa.String(64), nullable=False),
        sa.Column("occasion", sa.Integer, nullable=False),
    )
    op.create_table(
        "records",
        sa.Column("study", sa.Integer, sa.ForeignKey("studies.number"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("reader", sa.String(64)),
        sa.Column("session", sa.Integer),
        sa.Column("position", sa.Integer),
        sa.Column("question", sa.String(64)),
        sa.Column("target", sa.String(8)),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    op.create_index("by_reading", "records", ["study", "reader", "session", "position"])
