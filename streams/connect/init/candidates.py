"""Which tables hold stock, items, locations, orders and their lines: guessed from names, types, keys and references.

Pure.  Old systems give all columns of a table the same two or three letters in front (`olordn`, `olqord`): these are
taken off before a name is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from streams.connect.init.survey import ForeignKey, Survey
from streams.core.mapping.catalogue import Column, Kind, Table

NUMBERS = (Kind.INT, Kind.EXACT, Kind.FLOAT)
MOMENTS = (Kind.DATE, Kind.STAMP, Kind.INSTANT)
MIN_PREFIXED = 3
"""So many columns must share their first letters before these are taken for a prefix."""


class Role(StrEnum):
    """What a table is to onhand."""

    STOCK = "stock"
    LEDGER = "stock ledger"
    ITEM = "item"
    LOCATION = "location"
    ORDER = "order"
    SALES_LINE = "sales order line"
    PURCHASE_LINE = "purchase order line"


_ITEM = r"(?:items?|products?|articles?|artikel|materials?|parts?|sku|itm|itnum|litm|prod|art|artnr|matnr)"
_LOCATION = (
    r"(?:warehouses?|whs?e?|wh|whsmst|locations?|loc|locn|sites?|plants?|werks|facilit(?:y|ies)|depots?|stores?"
    r"|entrepots?|lager|lgort|mcu|bins?|branch|subinventory|ship_from_org)"
)
_TAIL = r"(?:_?(?:id|no|nr|num|number|code|cd|key|name))?"

COLUMNS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "item": rf"(?:^|_){_ITEM}{_TAIL}$",
        "location": rf"(?:^|_){_LOCATION}{_TAIL}$",
        "on_hand": r"on_?hand(?!.*_id$)|^p?qoh|qoh$|actual_qty|^reel$|in_?stock|stock_?(?:qty|quantity|level)|^bestand",
        "quantity": r"^(?:qty|quantity|menge|cantidad|quantite|amount|units?|qte)$|(?:^|_)(?:qty|quantity)$",
        "reserved": r"reserv|commit|alloc|hcom",
        "safety": r"safety|sfty|safe_|min(?:imum)?_?(?:stock|qty|quantity)|seuil",
        "ordered": r"(?:qty|quantity)_?ord|ord(?:er)?(?:ed)?_?(?:qty|quantity)|^q_?ord|uorg|product_uom_qty|stock_qty",
        "shipped": r"ship|deliver|^q(?:ty)?_?shp|soqs|issued|fulfil|livre|expedi",
        "received": r"recei|^q(?:ty)?_?rec|urec|recv|receipt",
        "cancelled": r"cancel|^q(?:ty)?_?can|socn",
        "due": r"due|req|wanted|promis|deliver|expect|schedul|plan|ship|livrai|date_?(?:due|req)|trdj|drqj|pddj",
        "due_number": r"due|^req|promis|drqj|pddj",
        "placed": r"order(?:ed)?_?date|ordered_(?:at|on)$|date_?(?:order|commande)|placed|created?(?:_at|_on|_date)?$"
        r"|^date$|doc_?date",
        "status": r"stat(?:us|e|ut)?(?:_code|_cd|_id)?$|nxtr",
        "name": r"name$|desc|^dsc|^dl01$|label|title|designation|bezeichnung|nom$",
        "unit": r"uom|(?:^|_)unit(?:_|$)|(?:^|_)um$|einheit",
        "customer": r"cust|client|debtor|partner|party|fk_soc|sold_?to|ship_?to|buyer|card_?code|^an8$",
        "vendor": r"^(?:fk_)?(?:vend|suppl|fourn|creditor|liefer)",
        "order": r"(?:^|_)(?:order|sale|so|po|doco?|doc|doc_?entry|commande|purchase|parent|ordn?|header|hdr)"
        + _TAIL
        + "$",
        "line": r"line|lin_?n|lnid|(?:^|_)pos|row_?n|seq|rang",
        "document": r"document|voucher|trans(?!.*(?:qty|quantity))|entry_?type|move|reason|origin|posting_date",
        "code": r"code|sku|^ref$|reference|number|(?:^|_)n[or]$|litm|default_code|barcode|value",
    }.items()
}

TABLES: Mapping[Role, re.Pattern[str]] = {
    Role.STOCK: re.compile(
        r"stock|invent|(?:^|_)bal|bal$|(?:^|_)bin|quant|on_?hand|availab|bestand|lager|oitw|f41021|storage"
    ),
    Role.LEDGER: re.compile(r"mov(?:e|ement)|ledger|trans|cardex|journal|mouvement|f4111|hist|oinm"),
    Role.ITEM: re.compile(
        rf"(?:^|_){_ITEM}(?:_?(?:mst|mast(?:er)?|template|base))?$|itmast|oitm|f4101|^parts?(?:_|$)|^item|product$|tab_?item$"
    ),
    Role.LOCATION: re.compile(rf"(?:^|_){_LOCATION}(?:_?(?:mst|mast(?:er)?))?$|whsmst|owhs|tab_?warehouse$|f0006"),
    Role.ORDER: re.compile(r"order|sale|commande|ord_?h|hdr|header|ordr$|f4201|auftrag|outbound"),
    Role.SALES_LINE: re.compile(r"lin(?:e|es)?$|line|lin$|det(?:ail)?s?$|item$|row|rdr1|f4211|pos$"),
    Role.PURCHASE_LINE: re.compile(r"lin(?:e|es)?$|line|lin$|det(?:ail)?s?$|item$|row|por1|f4311|pos$"),
}
_BUYING = re.compile(
    r"purch|(?:^|_)po(?:_|$|l)|pur(?:lin|hdr)?|vend|suppl|fourn|procure|buy|receipt|por1|opor|f4311|inbound"
)
_NOT_LIVE = re.compile(r"hist|arch|backup|(?:^|_)(?:old|tmp|temp|log|audit|copy|bak|stg|staging|test)(?:_|$)|lnh$|_h$")
_NOT_ORDERED = re.compile(r"return|refund|rma|receipt|shipment|deliver|transfer|quot")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A table that may have a role, and by which columns."""

    table: Table
    role: Role
    score: int
    columns: Mapping[str, Column] = field(default_factory=dict)
    """What a column is → the column."""
    rows: int | None = None

    @property
    def name(self) -> str:
        """Unqualified."""
        return self.table.name.partition(".")[2]

    @property
    def why(self) -> str:
        """The columns it was recognised by, for people."""
        return ", ".join(f"{column.name} ({what})" for what, column in self.columns.items())


def plain_names(table: Table) -> dict[str, str]:
    """Column → its name in small letters and underscores, without the letters that all columns of the table share."""
    plain = {
        name: re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
        for name in table.columns
    }
    starts = {text[:2] for text in plain.values()}
    if len(plain) < MIN_PREFIXED or len(starts) > 1 or not "".join(starts).isalpha():
        return plain
    length = 3 if all(text[2:3] == "_" for text in plain.values()) else 2
    return {name: text[length:].strip("_") or text for name, text in plain.items()}


Judge = Callable[[Table, Role], tuple[int, dict[str, Column]] | None]
"""Score and columns of a table in a role; None: it cannot have it."""


class Finder:
    """Finds candidates of one surveyed schema."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.tables = survey.catalogue.tables
        self._plain = {name: plain_names(table) for name, table in self.tables.items()}
        self._foreign: dict[tuple[str, str], ForeignKey] = {
            (key.table, key.columns[0]): key for key in survey.foreign_keys if len(key.columns) == 1
        }
        self._masters: dict[Role, set[str]] = {}

    def candidates(self) -> dict[Role, list[Candidate]]:
        """For every role the tables that may have it, best first."""
        found: dict[Role, list[Candidate]] = {}
        for role in (Role.ITEM, Role.LOCATION):
            found[role] = self._ranked(role, self._master)
            best = {one.name for one in found[role] if one.score >= found[role][0].score - 2}
            self._masters[role] = best
        found[Role.ORDER] = self._ranked(Role.ORDER, self._header)
        headers = {one.name for one in found[Role.ORDER]}
        for role in (Role.SALES_LINE, Role.PURCHASE_LINE):
            found[role] = self._ranked(role, lambda table, role: self._line(table, role, headers))
        lines = {one.name for role in (Role.SALES_LINE, Role.PURCHASE_LINE) for one in found[role][:2]}
        for role in (Role.STOCK, Role.LEDGER):
            ranked = self._ranked(role, self._stock)
            found[role] = [one for one in ranked if one.name not in lines or "on_hand" in one.columns]
        return found

    def refers(self, table: str, column: str) -> ForeignKey | None:
        """The declared reference of one column, or the one its name and type suggest."""
        declared = self._foreign.get((table, column))
        if declared is not None:
            return declared
        mine = self.tables[table].columns[column]
        for role, what in ((Role.ITEM, "item"), (Role.LOCATION, "location")):
            if not COLUMNS[what].search(self._plain[table][column]):
                continue
            for name in sorted(self._masters.get(role, ())):
                other = self.tables[name]
                if name == table or len(other.primary) != 1:
                    continue
                key = other.columns[other.primary[0]]
                if (mine.kind, mine.type) == (key.kind, key.type) or (mine.kind is key.kind is not Kind.OTHER):
                    return ForeignKey(table, (column,), name, other.primary)
        return None

    def archive_of(self, table: str) -> str | None:
        """A table of old rows that has all of this one's columns: rows may be moved there when they are done."""
        mine = set(self._plain[table].values())
        for name, plain in self._plain.items():
            if name != table and _NOT_LIVE.search(_plain_table(name)) and mine <= set(plain.values()):
                return name
        return None

    def first(self, table: str, what: str, kinds: tuple[Kind, ...] | None = None) -> Column | None:
        """The column whose name says `what` most plainly, and whose type can be it."""
        best_one, plainest = None, 0.0
        for name, plain in self._plain[table].items():
            column = self.tables[table].columns[name]
            said = COLUMNS[what].search(plain)
            if said and (kinds is None or column.kind in kinds) and len(said[0]) / len(plain) > plainest:
                best_one, plainest = column, len(said[0]) / len(plain)
        return best_one

    def _ranked(self, role: Role, judge: Judge) -> list[Candidate]:
        found: list[Candidate] = []
        for name, table in self.tables.items():
            if name.startswith("onhand_"):
                continue
            judged = judge(table, role)
            if judged is None:
                continue
            score, columns = judged
            rows = self.survey.rows.get(name)
            plain = _plain_table(name)
            score += 3 if TABLES[role].search(plain) else 0
            score -= 3 if _NOT_LIVE.search(plain) else 0
            score -= 2 if rows == 0 and any(self.survey.rows.values()) else 0
            score -= 0 if table.primary else 2
            found.append(Candidate(table, role, score, columns, rows))
        return sorted(found, key=lambda one: (-one.score, -(one.rows or 0), one.name))

    def _reference(self, table: Table, what: str, role: Role) -> Column | None:
        """The column that names an item or a location: by its foreign key, else by its name."""
        name = table.name.partition(".")[2]
        for column in table.columns.values():
            declared = self._foreign.get((name, column.name))
            if declared is not None and declared.target in self._masters.get(role, ()):
                return column
        return self.first(name, what, (Kind.TEXT, Kind.INT, Kind.EXACT, Kind.OTHER))

    def _master(self, table: Table, role: Role) -> tuple[int, dict[str, Column]] | None:
        """Items and locations: one key, a name, referred to by many."""
        name = table.name.partition(".")[2]
        if len(table.primary) > 1 or not TABLES[role].search(_plain_table(name)):
            return None
        columns = self._found(name, key=table.columns[table.primary[0]] if table.primary else None)
        for what, kinds in (("code", (Kind.TEXT,)), ("name", (Kind.TEXT,)), ("unit", None), ("status", None)):
            columns.update(self._found(name, **{what: self.first(name, what, kinds)}))
        users = len({key.table for key in self.survey.foreign_keys if key.target == name})
        counts = self.first(name, "quantity", NUMBERS) or self.first(name, "on_hand", NUMBERS)
        if counts is not None and (role is Role.LOCATION or self.first(name, "order") is not None):
            return None
        score = 2 * ("key" in columns) + 2 * ("name" in columns) + min(users, 4)
        return score - min(_plain_table(name).count("_"), 2), columns

    def _header(self, table: Table, role: Role) -> tuple[int, dict[str, Column]] | None:
        name = table.name.partition(".")[2]
        if len(table.primary) > 3 or not table.primary or _BUYING.search(_plain_table(name)):
            return None
        customer = self.first(name, "customer")
        if customer is None or self._reference(table, "item", Role.ITEM) is not None:
            return None
        columns = self._found(
            name,
            key=self._own_number(table),
            customer=customer,
            placed=self.first(name, "placed", MOMENTS),
            due=self._due(name),
            status=self.first(name, "status"),
        )
        users = len({key.table for key in self.survey.foreign_keys if key.target == name})
        return 2 + ("status" in columns) + ("placed" in columns or "due" in columns) + min(users, 3), columns

    def _line(self, table: Table, role: Role, headers: set[str]) -> tuple[int, dict[str, Column]] | None:
        name = table.name.partition(".")[2]
        item = self._reference(table, "item", Role.ITEM)
        quantity = self.first(name, "ordered", NUMBERS) or self.first(name, "quantity", NUMBERS)
        order = next(
            (c for c in table.columns.values() if (f := self._foreign.get((name, c.name))) and f.target in headers),
            None,
        ) or self.first(name, "order", (Kind.TEXT, Kind.INT, Kind.EXACT, Kind.OTHER))
        if item is None or quantity is None or order is None or order.name == item.name:
            return None
        buying = bool(_BUYING.search(_plain_table(name))) or self.first(name, "vendor") is not None
        if buying != (role is Role.PURCHASE_LINE):
            return None
        done = "received" if buying else "shipped"
        columns = self._found(
            name,
            item=item,
            location=self._reference(table, "location", Role.LOCATION),
            order=order,
            line=self.first(name, "line", (Kind.TEXT, Kind.INT, Kind.EXACT)),
            ordered=quantity,
            cancelled=self.first(name, "cancelled", (Kind.INT, Kind.EXACT, Kind.FLOAT)),
            due=self._due(name),
            status=self.first(name, "status"),
            **{done: self.first(name, done, NUMBERS)},
        )
        if columns.get(done) is quantity:
            del columns[done]
        other = 3 * bool(_NOT_ORDERED.search(_plain_table(name)))
        return 4 - other + (done in columns) + ("line" in columns) + ("due" in columns), columns

    def _stock(self, table: Table, role: Role) -> tuple[int, dict[str, Column]] | None:
        name = table.name.partition(".")[2]
        item = self._reference(table, "item", Role.ITEM)
        on_hand = self.first(name, "on_hand", NUMBERS)
        quantity = on_hand or self.first(name, "quantity", NUMBERS)
        if item is None or quantity is None or (len(table.primary) == 1 and table.primary[0] == item.name):
            return None
        location = self._reference(table, "location", Role.LOCATION)
        document = self.first(name, "document")
        moves = document is not None or bool(TABLES[Role.LEDGER].search(_plain_table(name)))
        if moves != (role is Role.LEDGER) or (location is None and on_hand is None):
            return None
        columns = self._found(
            name,
            item=item,
            location=location,
            on_hand=quantity,
            reserved=self.first(name, "reserved", NUMBERS),
            safety_stock=self.first(name, "safety", NUMBERS),
        )
        score = 1 + 3 * (on_hand is not None) + 2 * (location is not None) + (item.name in table.primary)
        return score - 2 * (self.first(name, "customer") is not None), columns

    def _own_number(self, table: Table) -> Column:
        """The part of a header's key that tells its orders apart."""
        plain = self._plain[table.name.partition(".")[2]]
        named = [name for name in table.primary if COLUMNS["order"].search(plain[name])]
        return table.columns[(named or list(table.primary)[-1:])[0]]

    def _due(self, table: str) -> Column | None:
        return self.first(table, "due", MOMENTS) or self.first(table, "due_number", (Kind.INT, Kind.EXACT))

    def _found(self, table: str, **columns: Column | None) -> dict[str, Column]:
        return {what: column for what, column in columns.items() if column is not None}


def best(found: Mapping[Role, list[Candidate]], role: Role) -> Candidate | None:
    """The first candidate of a role."""
    return next(iter(found.get(role, ())), None)


def status_columns(found: Mapping[Role, list[Candidate]]) -> Iterator[tuple[str, str]]:
    """(table, column) of the statuses of the best tables."""
    for role in (Role.ORDER, Role.SALES_LINE, Role.PURCHASE_LINE):
        one = best(found, role)
        if one is not None and "status" in one.columns:
            yield one.name, one.columns["status"].name


def _plain_table(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
