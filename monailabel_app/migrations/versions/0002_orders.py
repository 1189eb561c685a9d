"""A job's model, inputs by role and parameters are one JSON value, so that a task may start from anything."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_JOBS = sa.table(
    "jobs",
    sa.column("number", sa.Integer),
    sa.column("task", sa.String),
    sa.column("study_instance_uid", sa.String),
    sa.column("series_instance_uid", sa.String),
    sa.column("sop_instance_uid", sa.String),
    sa.column("parameters", sa.JSON),
    sa.column("order", sa.JSON),
)


def upgrade() -> None:
    """Every model had one input, an image, in the role of the source."""
    op.add_column("jobs", sa.Column("order", sa.JSON))
    connection = op.get_bind()
    for job in connection.execute(sa.select(_JOBS)).all():
        connection.execute(sa.update(_JOBS).where(_JOBS.c.number == job.number).values(order=_order(job)))
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("order", existing_type=sa.JSON(), nullable=False)
        jobs.alter_column("study_instance_uid", existing_type=sa.String(64), nullable=True)
        for name in ("task", "series_instance_uid", "sop_instance_uid", "parameters"):
            jobs.drop_column(name)


def _order(job: sa.Row) -> dict:
    source = {"study_instance_uid": job.study_instance_uid, "series_instance_uid": job.series_instance_uid}
    if job.sop_instance_uid is not None:
        source["sop_instance_uid"] = job.sop_instance_uid
    return {"model": job.task, "inputs": {"source": source}, "parameters": job.parameters}
