"""The contracts' words for how an order, a shipment or a payment stands, and for what a deleted row meant.

Every enumeration has `unknown` as its default symbol, so that a reader of today understands a writer of tomorrow.
"""

from __future__ import annotations

from enum import StrEnum


class Deletion(StrEnum):
    """What the deletion of an order or line at its source means, as source.yaml declares for the table."""

    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    ARCHIVED = "archived"
    REMOVED = "removed"


class FinancialStatus(StrEnum):
    """Where an order stands financially; `unknown` when no owner says, or its code is not mapped."""

    UNKNOWN = "unknown"
    OPEN = "open"
    AUTHORISED = "authorised"
    INVOICED = "invoiced"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class ExecutionStatus(StrEnum):
    """Where an order stands in the warehouse."""

    UNKNOWN = "unknown"
    ENTERED = "entered"
    ON_HOLD = "on_hold"
    RELEASED = "released"
    ALLOCATED = "allocated"
    PICKING = "picking"
    PICKED = "picked"
    PACKED = "packed"
    PARTLY_SHIPPED = "partly_shipped"
    SHIPPED = "shipped"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class DeliveryStatus(StrEnum):
    """Where an order stands with the carrier."""

    UNKNOWN = "unknown"
    NOT_SHIPPED = "not_shipped"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    FAILED = "failed"
    LOST = "lost"
    RETURNED = "returned"


class PresentationStatus(StrEnum):
    """What the customer is shown."""

    UNKNOWN = "unknown"
    RECEIVED = "received"
    CONFIRMED = "confirmed"
    IN_PROGRESS = "in_progress"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"


class ShipmentStatus(StrEnum):
    """Where one shipment stands."""

    UNKNOWN = "unknown"
    OPEN = "open"
    PACKED = "packed"
    SHIPPED = "shipped"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    FAILED = "failed"
    LOST = "lost"
    RETURNED = "returned"
    CANCELLED = "cancelled"


STATUSES: dict[tuple[str, str], type[StrEnum]] = {
    ("orders", "financial_status"): FinancialStatus,
    ("orders", "execution_status"): ExecutionStatus,
    ("orders", "delivery_status"): DeliveryStatus,
    ("orders", "presentation_status"): PresentationStatus,
    ("shipments", "status"): ShipmentStatus,
}
"""(mapping file, status column) → the contract's enumeration that source.yaml maps codes to."""
