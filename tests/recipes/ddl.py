"""CREATE TABLE and CREATE INDEX as a catalogue, without a database: as far as recipes use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sqlglot
from sqlglot import exp
from sqlglot.expressions import DType as T

from streams.core.mapping.catalogue import SESSION_COLLATION, Catalogue, Column, PartialKey, Table
from streams.core.mapping.dialects import DIALECTS
from tests.unit.mapping.tables import FOLD

_NAMES: dict[str, dict[T, str]] = {
    "postgres": {
        T.INT: "integer",
        T.BIGINT: "bigint",
        T.DECIMAL: "numeric",
        T.DOUBLE: "double precision",
        T.CHAR: "character",
        T.VARCHAR: "character varying",
        T.TEXT: "text",
        T.DATE: "date",
        T.TIME: "time without time zone",
        T.TIMESTAMP: "timestamp without time zone",
        T.TIMESTAMPTZ: "timestamp with time zone",
        T.BOOLEAN: "boolean",
    },
    "mariadb": {
        T.INT: "int",
        T.BIGINT: "bigint",
        T.DECIMAL: "decimal",
        T.DOUBLE: "double",
        T.CHAR: "char",
        T.VARCHAR: "varchar",
        T.TEXT: "text",
        T.DATE: "date",
        T.TIME: "time",
        T.DATETIME: "datetime",
        T.TIMESTAMPTZ: "timestamp",
    },
    "sqlserver": {
        T.INT: "int",
        T.UTINYINT: "tinyint",
        T.DECIMAL: "decimal",
        T.NCHAR: "nchar",
        T.NVARCHAR: "nvarchar",
        T.DATE: "date",
        T.DATETIME: "datetime",
    },
    "oracle": {
        T.DECIMAL: "NUMBER",
        T.CHAR: "CHAR",
        T.NCHAR: "NCHAR",
        T.VARCHAR: "VARCHAR2",
        T.DATE: "DATE",
        T.TIMESTAMP: "TIMESTAMP",
    },
}
"""What each catalogue calls the types that the parser knows."""
_COLLATIONS = {"mariadb": SESSION_COLLATION, "sqlserver": "Latin1_General_CI_AS"}


def statements(kind: str, ddl: str) -> Iterator[exp.Create]:
    for tree in sqlglot.parse(ddl, read=DIALECTS[kind].parser):
        assert isinstance(tree, exp.Create), f"no CREATE: {tree}"
        yield tree


def created_tables(kind: str, ddl: str) -> list[str]:
    return [_name(tree, kind) for tree in statements(kind, ddl) if tree.kind == "TABLE"]


def computed_columns(kind: str, ddl: str) -> set[str]:
    """Columns that the database fills by itself."""
    parts = [part for tree in statements(kind, ddl) for part in tree.find_all(exp.ColumnDef)]
    return {_cased(part.this, kind) for part in parts if part.find(exp.ComputedColumnConstraint)}


def catalogue(kind: str, schema: str, ddl: str) -> Catalogue:
    tables: dict[str, Table] = {}
    for tree in statements(kind, ddl):
        name = _name(tree, kind)
        if tree.kind == "TABLE":
            tables[name] = _table(kind, f"{schema}.{name}", tree.this.expressions)
        else:
            _add_index(tables[name], tree)
    collation = _COLLATIONS.get(kind)
    return Catalogue(kind=kind, schema=schema, tables=tables, folds={collation: FOLD} if collation else {})


def _name(tree: exp.Create, kind: str) -> str:
    table = tree.find(exp.Table)
    assert table is not None
    return _cased(table.this, kind)


def _cased(name: exp.Expr, kind: str) -> str:
    return name.name if name.args.get("quoted") else DIALECTS[kind].unquoted(name.name)


def _table(kind: str, name: str, parts: Iterable[exp.Expr]) -> Table:
    table = Table(name=name, columns={})
    for part in parts:
        if isinstance(part, exp.ColumnDef):
            _add_column(kind, table, part)
        elif isinstance(part, exp.PrimaryKey):
            table.primary = _columns(part, kind)
        elif isinstance(part, exp.UniqueColumnConstraint):
            table.unique += (_columns(part.this, kind),)
        else:
            assert isinstance(part, exp.IndexColumnConstraint), f"{name}: {part!r}"
            table.indexes += (_columns(part, kind),)
    assert table.primary, f"{name} has no primary key"
    for column in table.primary:
        table.columns[column] = _but(table.columns[column], nullable=False)
    table.unique = (table.primary, *table.unique)
    return table


def _columns(node: exp.Expr, kind: str) -> tuple[str, ...]:
    return tuple(_cased(name, kind) for name in node.find_all(exp.Identifier))


def _add_column(kind: str, table: Table, part: exp.ColumnDef) -> None:
    name, typed = _cased(part.this, kind), part.kind
    assert typed is not None
    sizes = [int(size.name) for size in typed.expressions]
    constraints = [constraint.kind for constraint in part.constraints]
    known = _NAMES[kind].get(typed.this)
    assert known, f"{table.name}.{name}: type {typed.this} of {kind}"
    text = typed.this in (T.CHAR, T.NCHAR, T.VARCHAR, T.NVARCHAR, T.TEXT)
    number = typed.this == T.DECIMAL and bool(sizes)
    table.columns[name] = Column(
        name=name,
        type=known,
        nullable=not any(
            isinstance(c, (exp.NotNullColumnConstraint, exp.PrimaryKeyColumnConstraint)) for c in constraints
        ),
        scale=[*sizes, 0][1] if number else None,
        precision=sizes[0] if number and kind in ("sqlserver", "oracle") else None,
        length=sizes[0] if text and sizes else None,
        collation=_COLLATIONS.get(kind) if text else None,
    )
    if any(isinstance(c, exp.PrimaryKeyColumnConstraint) for c in constraints):
        table.primary = (name,)
    if any(isinstance(c, exp.UniqueColumnConstraint) for c in constraints):
        table.unique += ((name,),)


def _but(column: Column, **changed: object) -> Column:
    return Column(**{**{name: getattr(column, name) for name in column.__struct_fields__}, **changed})


def _add_index(table: Table, tree: exp.Create) -> None:
    params = tree.this.args["params"]
    columns = tuple(ordered.this.name for ordered in params.args["columns"])
    where = params.args.get("where")
    if where is not None:
        assert tree.args.get("unique")
        table.partial += (PartialKey(columns=columns, where=where.this.sql("postgres")),)
    elif tree.args.get("unique"):
        table.unique += (columns,)
    else:
        table.indexes += (columns,)
