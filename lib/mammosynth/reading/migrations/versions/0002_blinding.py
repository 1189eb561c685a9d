"""Blinded copies: the secret and the rule of a study, and the key from each copy to its source."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "blindings",
        sa.Column("study", sa.Integer, sa.ForeignKey("studies.number"), primary_key=True),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
    )
    op.create_table(
        "copies",
        sa.Column("study", sa.Integer, sa.ForeignKey("studies.number"), primary_key=True),
        sa.Column("case", sa.String(64), primary_key=True),
        sa.Column("arm", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("file", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("image_laterality", sa.String(1), nullable=False),
        sa.Column("view_position", sa.String(8), nullable=False),
        sa.Column("placement", sa.Text, nullable=False),
    )
