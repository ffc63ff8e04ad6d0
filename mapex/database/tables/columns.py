"""What the tables share: the metadata with its names of constraints, and columns that recur."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, MetaData, String

from tiles.batch import QUANTITIES

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def id_column() -> Column[str]:
    """The key of a table: an id of `mapex.ids`."""
    return Column("id", String(40), primary_key=True)


def ref(name: str, target: str, *, nullable: bool = False, index: bool = False) -> Column[str]:
    """A reference to the id of another table, named `table.column`."""
    return Column(name, String(40), ForeignKey(target), nullable=nullable, index=index)


def quantities() -> list[Column[int]]:
    """A column for each quantity that tiles count."""
    return [Column(name, BigInteger, nullable=False, server_default="0") for name in QUANTITIES]
