"""Tables of published ERP schemas, as far as `init` must understand them: columns, `!` key, letter of the type."""

from __future__ import annotations

SYSTEMS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "jdedwards": (
        "oracle",
        {
            "F4101": "IMITM:i! IMLITM:c IMAITM:c IMDSC1:c IMUOM1:c IMSTKT:c",
            "F0006": "MCMCU:c! MCDL01:c MCSTYL:c",
            "F41021": "LIITM:i! LIMCU:c! LILOCN:c! LILOTN:c! LIPQOH:n LIHCOM:n LIPCOM:n LILOTS:c",
            "F4111": "ILUKID:i! ILITM:i ILMCU:c ILLOCN:c ILTRQT:n ILTRUM:c ILDCT:c ILTRDJ:i",
            "F4201": "SHKCOO:c! SHDOCO:i! SHDCTO:c! SHAN8:i SHTRDJ:i SHDRQJ:i",
            "F4211": "SDKCOO:c! SDDOCO:i! SDDCTO:c! SDLNID:i! SDITM:i SDLITM:c SDMCU:c SDUORG:n SDSOQS:n SDSOCN:n "
            "SDNXTR:c SDLTTR:c SDDRQJ:i SDAN8:i",
            "F42119": "SDKCOO:c! SDDOCO:i! SDDCTO:c! SDLNID:i! SDITM:i SDMCU:c SDUORG:n SDSOQS:n SDSOCN:n SDNXTR:c",
            "F4311": "PDKCOO:c! PDDOCO:i! PDDCTO:c! PDSFXO:c! PDLNID:i! PDITM:i PDMCU:c PDUORG:n PDUREC:n PDPDDJ:i",
        },
        {
            "item": "F4101", "location": "F0006", "stock": "F41021", "order": "F4201", "sales order line": "F4211",
            "purchase order line": "F4311",
        },
    ),
    "sap-b1": (
        "sqlserver",
        {
            "OITM": "ItemCode:t! ItemName:t InvntryUom:t OnHand:n",
            "OITW": "ItemCode:t! WhsCode:t! OnHand:n IsCommited:n OnOrder:n",
            "OWHS": "WhsCode:t! WhsName:t",
            "ORDR": "DocEntry:i! DocNum:i CardCode:t DocDate:d DocDueDate:d DocStatus:c",
            "RDR1": "DocEntry:i! LineNum:i! ItemCode:t Quantity:n OpenQty:n ShipDate:d WhsCode:t LineStatus:c",
            "OPOR": "DocEntry:i! DocNum:i CardCode:t DocDate:d DocDueDate:d DocStatus:c",
            "POR1": "DocEntry:i! LineNum:i! ItemCode:t Quantity:n OpenQty:n ShipDate:d WhsCode:t LineStatus:c",
            "OINM": "TransNum:i! ItemCode:t Warehouse:t InQty:n OutQty:n TransType:i",
        },
        {
            "item": "OITM", "location": "OWHS", "stock": "OITW", "order": "ORDR", "sales order line": "RDR1",
            "purchase order line": "POR1", "stock ledger": "OINM",
        },
    ),
    "oracle-ebs": (
        "oracle",
        {
            "MTL_ONHAND_QUANTITIES_DETAIL": "ONHAND_QUANTITIES_ID:i! INVENTORY_ITEM_ID:i ORGANIZATION_ID:i "
            "SUBINVENTORY_CODE:t PRIMARY_TRANSACTION_QUANTITY:n TRANSACTION_QUANTITY:n",
            "OE_ORDER_HEADERS_ALL": "HEADER_ID:i! ORDER_NUMBER:i SOLD_TO_ORG_ID:i ORDERED_DATE:d FLOW_STATUS_CODE:t",
            "OE_ORDER_LINES_ALL": "LINE_ID:i! HEADER_ID:i INVENTORY_ITEM_ID:i ORDERED_QUANTITY:n SHIPPED_QUANTITY:n "
            "CANCELLED_QUANTITY:n SCHEDULE_SHIP_DATE:d SHIP_FROM_ORG_ID:i FLOW_STATUS_CODE:t",
        },
        {
            "stock": "MTL_ONHAND_QUANTITIES_DETAIL", "order": "OE_ORDER_HEADERS_ALL",
            "sales order line": "OE_ORDER_LINES_ALL",
        },
    ),
}  # fmt: skip
"""Name → (kind, tables, role → the table that must be chosen)."""
