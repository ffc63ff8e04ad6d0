"""Proven addresses of persons, domains of firms, how an invitation reaches its person, and signers that can be retired.

Who was invited by a member is unproven until the operator, or a domain of the firm, speaks for the address; whom an operator made is
proven. A link that a member has in hand opens nothing any more: the operator hands it out, or it is mailed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BY_A_MEMBER = (
    "SELECT i.{column} FROM invitation i JOIN person p ON p.id = i.inviter_id "
    "WHERE i.role = 'member' AND i.org_id IS NOT NULL AND p.org_id = i.org_id"
)


def upgrade() -> None:
    op.create_table(
        "org_domain",
        sa.Column("domain", sa.String(length=190), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_org_domain_org_id")),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_org_domain")),
    )
    op.create_index(op.f("ix_org_domain_org_id"), "org_domain", ["org_id"], unique=False)
    op.add_column("organisation", sa.Column("signer", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("person", sa.Column("proven_ns", sa.BigInteger(), nullable=True))
    op.add_column("invitation", sa.Column("handed", sa.String(length=16), nullable=True))
    op.execute(f"UPDATE person SET proven_ns = created_ns WHERE id NOT IN ({_by_a_member('person_id')} AND i.person_id IS NOT NULL)")
    op.execute(f"UPDATE invitation SET handed = 'operator' WHERE id NOT IN ({_by_a_member('id')})")


def _by_a_member(column: str) -> str:
    return BY_A_MEMBER.format(column=column)
