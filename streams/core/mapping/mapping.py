"""All SQL files of one source, compiled once: `load_mapping(folder)`."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
import struct
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import Any

import msgspec
import sqlglot
from sqlglot import exp

from schemas.errors import InvalidInput
from schemas.records import Bucket
from streams.core.mapping import catalogue as catalogues
from streams.core.mapping import problems, semantics
from streams.core.mapping import source as sources
from streams.core.mapping.catalogue import Catalogue, Table
from streams.core.mapping.decoders import RowCodec
from streams.core.mapping.dialects import DIALECTS
from streams.core.mapping.files import file_kind, status_symbols
from streams.core.mapping.join_keys import Declared
from streams.core.mapping.lines import placed, shown
from streams.core.mapping.model import MANY, Evaluation, Lookup, LookupKey, LookupSource, RowError
from streams.core.mapping.outputs import Binder
from streams.core.mapping.problems import Problem, Refused
from streams.core.mapping.program import Program
from streams.core.mapping.select import Select, Selected, branches
from streams.core.mapping.source import Lines, SourceConfig
from streams.core.mapping.subset import misspelt, outside

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_NOTHING = Evaluation((), (), ())
_ROW_FAULTS = (RowError, DecimalException, OverflowError)

Body = tuple[str, list[str]]
"""A SELECT as lines of Python, under a comment that names it."""


class CompiledTable:
    """One captured table (`streams.core.mapping.model.TableMapping`)."""

    def __init__(
        self,
        table: Table,
        codec: RowCodec,
        feeds: frozenset[str],
        buckets: frozenset[Bucket],
        joins: frozenset[str],
        deletion: str,
        evaluate: Any | None,
        views: Sequence[tuple[int, Any]],
        chains: Sequence[tuple[int, Any]],
        spreads: bool = False,
        filename: str = "",
        code: Sequence[str] = (),
    ) -> None:
        self.name = table.name
        self.key = table.primary
        self.columns = codec.columns
        self.feeds = feeds
        self.buckets = buckets
        self.joins = joins
        self.deletion = deletion
        self.codec = codec
        self.decode = codec.decode
        self.decode_key = codec.decode_key
        self.key_of = codec.key_of
        self.absent = codec.absent
        self.merged = codec.merged
        self.dump = codec.dump
        self.load = codec.load
        self.drives = evaluate is not None
        """Whether it is the driving table of a SELECT; a mere lookup table yields nothing itself."""
        self.spreads = spreads
        self._evaluate = evaluate
        self._views = tuple(views)
        self._chains = tuple(chains)
        self._filename = filename
        self._code = code

    def evaluate(self, row: Any, lookups: Sequence[LookupSource]) -> Evaluation:
        """Raises RowError."""
        if self._evaluate is None:
            return _NOTHING
        try:
            evaluation: Evaluation = self._evaluate(row, lookups)
        except _ROW_FAULTS as error:
            raise self._placed(error) from None
        if self.spreads and len(evaluation.outputs) > MANY:
            raise RowError(
                "lookup-too-many", f"{self.name}: one row yields {len(evaluation.outputs):,} outputs, at most {MANY:,}"
            )
        return evaluation

    def lookup_keys(self, row: Any) -> tuple[tuple[int, LookupKey], ...]:
        """Raises RowError."""
        return self._keys(self._views, row) if self._views else ()

    def chains(self, row: Any) -> tuple[tuple[int, LookupKey], ...]:
        """Raises RowError."""
        return self._keys(self._chains, row) if self._chains else ()

    def _keys(self, functions: Sequence[tuple[int, Any]], row: Any) -> tuple[tuple[int, LookupKey], ...]:
        try:
            return tuple([(index, key) for index, of in functions if (key := of(row)) is not None])
        except _ROW_FAULTS as error:
            raise self._placed(error) from None

    def _placed(self, error: Exception) -> RowError:
        """What a row has no value for, with the place in the SQL."""
        told = error
        if not isinstance(told, RowError):
            told = semantics.unmappable(f"arithmetic: {type(error).__name__}").with_traceback(error.__traceback__)
        return placed(told, self._filename, self._code)


class CompiledMapping:
    """One source's mapping (`streams.core.mapping.model.Mapping`)."""

    def __init__(
        self,
        source: SourceConfig,
        catalogue: Catalogue,
        fingerprint: bytes,
        tables: MappingType[str, CompiledTable],
        lookups: Sequence[Lookup],
        files: MappingType[str, str],
        columns: MappingType[str, tuple[str, ...]],
        code: str,
    ) -> None:
        self.source = source
        self.catalogue = catalogue
        self.fingerprint = fingerprint
        self.tables = tables
        self.lookups = lookups
        self.files = files
        """File name → text after `${…}` was filled in; one entry per value."""
        self.columns = columns
        """File name, as in `files` → its output columns, in order."""
        self.code = code
        """The generated Python, for people."""

    def dump_lookup_key(self, key: LookupKey) -> bytes:
        return msgspec.msgpack.encode([_key_part(part) for part in key])


def _key_part(part: Any) -> Any:
    """Equal numbers of different types become equal."""
    if isinstance(part, Decimal):
        if part == part.to_integral_value():
            part = int(part)
        else:
            return format(part.normalize(semantics.ROUNDING), "f").encode()
    if isinstance(part, int) and not isinstance(part, bool) and not -(1 << 63) <= part < 1 << 63:
        return str(part).encode()
    return part


def load_mapping(folder: Path) -> CompiledMapping:
    """Compile a source folder: source.yaml, catalog.json, *.sql.

    Raises InvalidInput with every problem, one a line: file:line:column: reason: way out.
    """
    source = sources.load_source(folder / sources.FILE)
    catalogue = load_catalogue(folder, source)
    texts = {path.name: path.read_text() for path in sorted(folder.glob("*.sql"))}
    if not texts:
        raise InvalidInput(f"{folder}: no .sql file: write postings.sql, or another output")
    digest = hashlib.sha256()
    for name in (sources.FILE, catalogues.FILE, *texts):
        raw = (folder / name).read_bytes()
        digest.update(struct.pack(">I", len(name)) + name.encode() + struct.pack(">Q", len(raw)) + raw)
    lines = sources.lines_of((folder / sources.FILE).read_text())
    return compile_mapping(source, catalogue, texts, digest.digest(), f"{folder}/", lines)


def load_catalogue(folder: Path, source: SourceConfig) -> Catalogue:
    """catalog.json of a source folder.  Raises InvalidInput."""
    path = folder / catalogues.FILE
    if not path.is_file():
        raise InvalidInput(f"{path}: missing: write it with `onhand source inspect {source.name}`")
    catalogue = Catalogue.load(path.read_bytes(), str(path))
    if (catalogue.kind, catalogue.schema) != (source.kind, source.schema_):
        raise InvalidInput(
            f"{path}: is of {catalogue.kind} {catalogue.schema}, source.yaml says {source.kind} {source.schema_}: "
            f"write it again with `onhand source inspect {source.name}`"
        )
    return catalogue


def compile_mapping(
    source: SourceConfig,
    catalogue: Catalogue,
    texts: MappingType[str, str],
    fingerprint: bytes,
    prefix: str = "",
    lines: Lines | None = None,
) -> CompiledMapping:
    """Compile file texts; `prefix` stands before every file name in problems, `lines` are source.yaml's.

    Raises InvalidInput with every problem.
    """
    found: list[Problem] = []
    program = Program(catalogue, _declared(source))
    bodies: dict[str, list[Body]] = {}
    feeds: dict[str, set[str]] = {}
    buckets: dict[str, set[Bucket]] = {}
    joins: dict[str, set[str]] = {}
    spread: set[str] = set()
    files: dict[str, str] = {}
    columns: dict[str, tuple[str, ...]] = {}
    _check_names(source, catalogue, lines or Lines(), prefix + sources.FILE, found)
    for file, text in texts.items():
        kind = file_kind(file.removesuffix(".sql"))
        if isinstance(kind, str):
            found.append(Problem(prefix + file, 1, 1, kind))
            continue
        for name, expanded in _expanded(source, file, text, prefix, found):
            files[name] = expanded
            binder = Binder(
                kind[0], kind[1], program.names, source.statuses.get(kind[0].name, {}), source.time_zone, found
            )
            for selected, touched in _compile_file(program, binder, prefix + file, expanded, found):
                bodies.setdefault(selected.table, []).append((f"    # {name}: {selected.table}", selected.lines))
                joins.setdefault(selected.table, set()).update(selected.lookups)
                spread |= {selected.table} if selected.spreads else set()
                for name_of in (selected.table, *selected.lookups):
                    feeds.setdefault(name_of, set()).add(kind[0].name)
                    buckets.setdefault(name_of, set()).update(touched)
            columns[name] = tuple(binder.columns or ())
    if found:
        raise InvalidInput("\n".join(str(problem) for problem in sorted(set(found))))
    functions = []
    for n, body in enumerate(bodies.values()):
        functions.append(
            f"def evaluate_{n}(r, L):\n    out = []; rests = []; missing = []\n" + shown(_joined(body)) + "\n"
            "    return new(Evaluation, (tuple(out), tuple(rests), tuple(missing)))\n"
        )
    code = "\n\n".join([*functions, *program.functions])
    namespace = program.names.values
    namespace["Evaluation"] = Evaluation
    filename, code_lines = f"<mapping of {source.name}>", code.splitlines()
    exec(compile(code, filename, "exec"), namespace)
    evaluators = {table: namespace[f"evaluate_{n}"] for n, table in enumerate(bodies)}
    tables = {}
    for short, needed in sorted(program.needed.items()):
        table = catalogue.tables[short]
        views = [(i, namespace[f"view_{i}"]) for i, look in enumerate(program.lookups) if look.table == table.name]
        chains = [(i, namespace[name]) for (holder, i, _), name in program.chains.items() if holder == table.name]
        tables[table.name] = CompiledTable(
            table,
            RowCodec(table, needed, catalogue.kind),
            frozenset(feeds.get(short, ())),
            frozenset(buckets.get(short, ())),
            frozenset(catalogue.tables[name].name for name in joins.get(short, ())),
            source.deletions.get(short, "removed"),
            evaluators.get(short),
            views,
            chains,
            short in spread,
            filename,
            code_lines,
        )
    return CompiledMapping(source, catalogue, fingerprint, tables, tuple(program.lookups), files, columns, code)


def _declared(source: SourceConfig) -> Declared:
    """The keys that source.yaml tells of."""
    unique: dict[str, list[tuple[str, ...]]] = {table: [()] for table in source.one_row}
    partial: dict[str, list[catalogues.PartialKey]] = {}
    for table, keys in source.unique.items():
        for key in keys:
            if isinstance(key, list):
                unique.setdefault(table, []).append(tuple(key))
            else:
                made = catalogues.PartialKey(columns=tuple(key.columns), where=key.where)
                partial.setdefault(table, []).append(made)
    return Declared(unique, partial, source.many)


def _joined(bodies: list[Body]) -> list[str]:
    """The SELECTs of one driving row in order; what one looks up just as the one before it is not looked up again.

    An INNER lookup ends with the block of its `else`, in which all that follows stands: the next SELECT's rest goes on
    there.  Nothing behind changes what the lines before it set: a LEFT lookup is done with when the next one begins.
    """
    lines: list[str] = []
    before: list[str] = []
    for title, body in bodies:
        same = 0
        for number, (line, other) in enumerate(zip(body, before, strict=False), 1):
            if line != other:
                break
            if line.endswith("else:"):
                same = number
        lines += [title, *body[same:]]
        before = body
    return lines


def _check_names(source: SourceConfig, catalogue: Catalogue, lines: Lines, file: str, found: list[Problem]) -> None:
    """Names in source.yaml that mean nothing are mistakes."""

    def wrong(reason: str, *path: Any) -> None:
        found.append(Problem(file, lines.of(*path), 1, f"{path[0]}: {reason}"))

    for table in source.deletions:
        if table not in catalogue.tables:
            wrong(f"no table {table} in catalog.json", "deletions", table)
    for name, listed in (("one_row", source.one_row), ("many", source.many)):
        for number, table in enumerate(listed):
            if table not in catalogue.tables:
                wrong(f"no table {table} in catalog.json", name, number)
    for table, keys in source.unique.items():
        if table not in catalogue.tables:
            wrong(f"no table {table} in catalog.json", "unique", table)
            continue
        for number, key in enumerate(keys):
            for column in key if isinstance(key, list) else key.columns:
                if column not in catalogue.tables[table].columns:
                    wrong(f"table {table} has no column {column}", "unique", table, number)
    for name, columns in source.statuses.items():
        kind = file_kind(name)
        if isinstance(kind, str):
            wrong(f"{name}: {kind}", "statuses", name)
            continue
        for column, codes in columns.items():
            known = status_symbols(name, column)
            if not known:
                wrong(f"{name} has no status column {column}", "statuses", name, column)
            for code, symbol in codes.items() if known else ():
                if symbol not in known:
                    reason = f"{name}: {column}: {code!r}: no symbol {symbol}: {', '.join(known)}"
                    wrong(reason, "statuses", name, column, code)


def _expanded(source: SourceConfig, file: str, text: str, prefix: str, found: list[Problem]) -> list[tuple[str, str]]:
    """(name for people, text) per combination of the values its `${…}` can take."""
    names = list(dict.fromkeys(_PLACEHOLDER.findall(text)))
    unknown = [name for name in names if not source.expand.get(name)]
    for name in unknown:
        line = text[: text.index("${" + name)].count("\n") + 1
        found.append(Problem(prefix + file, line, 1, f"${{{name}}}: source.yaml gives no values: add expand: {name}"))
    if unknown:
        return []
    out = []
    for values in itertools.product(*(source.expand[name] for name in names)):
        filled = functools.reduce(
            lambda t, pair: t.replace("${" + pair[0] + "}", pair[1]), zip(names, values, strict=True), text
        )
        out.append((f"{file} ({', '.join(values)})" if values else file, filled))
    return out


def _compile_file(
    program: Program, binder: Binder, file: str, text: str, found: list[Problem]
) -> list[tuple[Selected, frozenset[Bucket]]]:
    try:
        trees = [tree for tree in sqlglot.parse(text, read=DIALECTS[program.catalogue.kind].parser) if tree is not None]
    except sqlglot.errors.ParseError as error:
        at = error.errors[0] if error.errors else {}
        reason = str(at.get("description") or error).rstrip(".")
        found.append(Problem(file, int(at.get("line") or 1), int(at.get("col") or 1), f"not understood: {reason}"))
        return []
    except (sqlglot.errors.TokenError, ValueError) as error:  # the parser lets some of its own ValueErrors out
        found.append(Problem(file, 1, 1, f"not understood: {error}"))
        return []
    if len(trees) != 1:
        found.append(Problem(file, 1, 1, f"{len(trees)} statements: one SELECT … UNION ALL … a file"))
        return []
    wrong = [Problem(file, *problems.place(node), reason) for node, reason in outside(trees[0])]
    wrong += [Problem(file, *place) for place in misspelt(text, DIALECTS[program.catalogue.kind])]
    if wrong:
        found += wrong
        return []
    try:
        selects: list[exp.Select] = list(branches(file, trees[0]))
    except Refused as error:
        found.append(error.problem)
        return []
    out = []
    for select in selects:
        binder.buckets = frozenset()
        selected = Select(program, file, found).compile(select, binder.bind)
        if selected is not None:
            out.append((selected, binder.buckets))
    return out
