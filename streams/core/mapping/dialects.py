"""The databases a mapping can be written for, and what their SQL disagrees about.

A `Dialect` answers the questions that several handlers of `expressions` ask; what one function alone does differently
stands beside that function, in `semantics_<database>`.  `proven` dialects are compared with a live server by random
SQL in every build; the others rest on tables of the results their vendors document (`tests/unit/mapping/golden`),
and everything that goes by them is called golden-only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


def _as_written(name: str) -> str:
    return name


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One database product."""

    kind: str
    """As in source.yaml."""
    name: str
    """For people."""
    parser: str
    """sqlglot's name of it."""
    runtime: str
    """What generated code calls its semantics by."""
    proven: bool

    unquoted: Callable[[str], str] = _as_written
    """What becomes of a name that is written without quotes."""
    whole_division: bool = False
    """An integer divided by an integer is an integer."""
    zero_divides_to_null: bool = False
    """Division by zero gives NULL; elsewhere it fails, and the whole audit with it."""
    hidden_digits: bool = False
    """A quotient carries more digits than its type shows: it is rounded before anything depends on them."""
    sized_numbers: bool = False
    """Precision and scale of what is computed follow from those of the operands, within 38 digits."""
    cast_decimal: tuple[int, int] | None = None
    """What DECIMAL without a size means in a CAST; None: no limit."""
    folds_text: bool = False
    """Text is compared under collations that hold different texts equal."""
    empty_is_null: bool = False
    """'' is NULL."""
    char_keeps_blanks: bool = False
    """Functions see the blanks of a CHAR(n)."""
    concat_skips_null: bool = False
    """CONCAT takes NULL for ''."""
    like_escape: str = "\\"
    """What takes a meaning from the character behind it in a pattern, without ESCAPE."""
    extremes_skip_null: bool = False
    """GREATEST and LEAST pass NULLs over; elsewhere one NULL makes them NULL."""
    conditions_are_values: bool = True
    """A condition may stand where a value is put out."""

    @property
    def postgres(self) -> bool:
        return self.kind == "postgres"

    @property
    def mysql_family(self) -> bool:
        """MariaDB, MySQL."""
        return self.parser == "mysql"

    @property
    def sqlserver(self) -> bool:
        return self.kind == "sqlserver"

    @property
    def oracle(self) -> bool:
        return self.kind == "oracle"

    @property
    def grade(self) -> str:
        return "proven" if self.proven else "golden-only"


POSTGRES = Dialect(
    kind="postgres",
    name="PostgreSQL",
    parser="postgres",
    runtime="pg",
    proven=True,
    unquoted=str.lower,
    whole_division=True,
    concat_skips_null=True,
    extremes_skip_null=True,
)
MARIADB = Dialect(
    kind="mariadb",
    name="MariaDB",
    parser="mysql",
    runtime="my",
    proven=True,
    zero_divides_to_null=True,
    hidden_digits=True,
    cast_decimal=(10, 0),
    folds_text=True,
)
MYSQL = replace(MARIADB, kind="mysql", name="MySQL", proven=False)
SQLSERVER = Dialect(
    kind="sqlserver",
    name="SQL Server",
    parser="tsql",
    runtime="ms",
    proven=False,
    whole_division=True,
    hidden_digits=True,
    sized_numbers=True,
    cast_decimal=(18, 0),
    folds_text=True,
    char_keeps_blanks=True,
    like_escape="",
    concat_skips_null=True,
    extremes_skip_null=True,
    conditions_are_values=False,
)
ORACLE = Dialect(
    kind="oracle",
    name="Oracle",
    parser="oracle",
    runtime="ora",
    proven=False,
    unquoted=str.upper,
    hidden_digits=True,
    empty_is_null=True,
    char_keeps_blanks=True,
    like_escape="",
    conditions_are_values=False,
)

DIALECTS = {dialect.kind: dialect for dialect in (POSTGRES, MARIADB, MYSQL, SQLSERVER, ORACLE)}
REFUSED = {
    "db2": "Db2 is refused: there is neither a parser nor a server to prove its semantics on; "
    "replicate its tables into PostgreSQL and onboard that",
    "informix": "Informix is refused: there is neither a parser nor a server to prove its semantics on; "
    "replicate its tables into PostgreSQL and onboard that",
}
"""Kind → why there is no mapping in its SQL, and the way out."""


def not_proven(kind: str) -> str:
    """Why a source of this kind does not run yet; '' when it does."""
    dialect = DIALECTS.get(kind)
    if dialect is None or dialect.proven:
        return ""
    return (
        f"golden-only: the SQL of {dialect.name} is held against documented answers, not against a server, and no lane "
        "has read its log: positions, resends and the audit are proven for PostgreSQL and MariaDB alone"
    )
