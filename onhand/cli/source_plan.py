"""What `onhand source plan` says of changed mappings: worked off in the shadow, before anything is published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from onhand.cli.output import show_rows
from onhand.cli.source_parts import say
from onhand.settings import Settings
from streams.connect.folder import Source
from streams.connect.mapping_check import lane_memo
from streams.connect.preflight import target
from streams.connect.shadow import Effect, Shadow, shadow
from streams.core.mapping.mapping import load_mapping
from streams.core.mapping.text import read_text
from streams.core.ownership import OWNERSHIP_FILE, load_ownership

COLUMNS = ["sku", "location", "bucket", "due", "reference", "view", "before", "after", "by"]


def changed_mappings(settings: Settings, chosen: Sequence[Source]) -> list[Shadow]:
    """One for each source whose folder's mapping is not the one that its lane works by, or waits for.

    Raises InvalidInput for a mapping that is refused, EnvironmentFault when a lane or a database cannot be read.
    """
    path = settings.connect_configs / OWNERSHIP_FILE
    ownership = load_ownership(path, settings.sources) if path.is_file() else None
    found = []
    for one in chosen:
        if not any(one.folder.glob("*.sql")):
            continue
        mapping, memo = load_mapping(one.folder), lane_memo(settings.kafka, one.name)
        if memo is None or memo.mapping == mapping.fingerprint:
            continue
        say(f"{one.name}: its mapping has changed; working it off on a copy of the lane's state")
        found.append(
            shadow(
                settings.kafka,
                mapping,
                read_text(one.folder),
                lambda one=one: target(one, [settings.secrets]),  # type: ignore[misc]
                ownership,
            )
        )
    return found


def document(one: Shadow, top: int) -> dict[str, Any]:
    """For JSON: counts, and the first of each list."""
    fall, rise = _moved(one)
    return {
        "source": one.source,
        "applied": not one.changed,
        "rows": one.rows,
        "read_anew": one.read_anew,
        "balances": len(one.balances),
        "balances_by_bucket": dict(Counter(change.key.bucket for change in one.balances)),
        "biggest": [change.row() for change in one.balances[:top]],
        "skus_that_fall": len(fall),
        "skus_that_rise": len(rise),
        "deepest": [effect._asdict() for effect in fall[:top]],
        "highest": [effect._asdict() for effect in rise[:top]],
        "items": len(one.items),
        "orders": len(one.orders),
        "item_skus": one.items[:top],
        "order_ids": one.orders[:top],
        "exceptions": {code: len(details) for code, details in one.exceptions.items()},
        "exception_details": {code: details[:top] for code, details in one.exceptions.items()},
        "exceptions_that_end": one.closed,
    }


def show(one: Shadow, top: int) -> None:
    """For people."""
    what = "would change" if one.changed else "was applied and waits for the tables that are being read; it changes"
    buckets = Counter(change.key.bucket for change in one.balances)
    told = ", ".join(f"{bucket} {count:,}" for bucket, count in buckets.most_common())
    click.echo(f"{one.source}: the mapping {what} {len(one.balances):,} balances{f' ({told})' if told else ''}")
    if one.read_anew:
        click.echo(
            f"  apply reads {', '.join(one.read_anew)} anew for columns that were never stored; here their rows come "
            "from the database, which may be ahead of the lane"
        )
    if one.balances:
        show_rows([change.row() for change in one.balances[:top]], COLUMNS, as_json=False, title="  biggest")
    fall, rise = _moved(one)
    if fall or rise:
        click.echo(f"  what can be promised now would fall for {len(fall):,} skus and rise for {len(rise):,}")
        moved = [_effect(effect) for effect in (*fall[:top], *rise[:top])]
        show_rows(moved, ["sku", "before", "after", "by"], as_json=False)
    for name, changed in (("items", one.items), ("orders", one.orders)):
        if changed:
            click.echo(f"  {name} that would change: {len(changed):,}: {_some(changed, top)}")
    for code, details in one.exceptions.items():
        click.echo(f"  new exceptions: {code} {len(details):,}")
        for detail in details[: min(top, 3)]:
            click.echo(f"    {detail}")
    for code, count in one.closed.items():
        click.echo(f"  exceptions that would end: {code} {count:,}")


def _moved(one: Shadow) -> tuple[list[Effect], list[Effect]]:
    """Skus whose availability falls, the deepest first; those for which it rises, the highest first."""
    fall = [effect for effect in one.effects if effect.after < effect.before]
    return fall, [effect for effect in reversed(one.effects) if effect.after > effect.before]


def _effect(effect: Effect) -> dict[str, Any]:
    return {**effect._asdict(), "by": effect.after - effect.before}


def _some(names: Sequence[str], top: int) -> str:
    return ", ".join(names[:top]) + (" …" if len(names) > top else "")
