-- On hand is the bin: ERPNext writes it in the transaction of every ledger entry, and rewrites the ledger for entries
-- that come late.
SELECT b.item_code AS sku, b.warehouse AS location, 'on_hand' AS bucket, COALESCE(b.actual_qty, 0) AS quantity,
       NULL AS due, NULL AS reference
  FROM `tabBin` b
UNION ALL
-- What stands in a warehouse of rejected goods, or in one that is disabled, is there and not for sale.
SELECT b.item_code, b.warehouse, 'on_hold', COALESCE(b.actual_qty, 0), NULL, NULL
  FROM `tabBin` b
  JOIN `tabWarehouse` w ON w.name = b.warehouse
 WHERE w.is_rejected_warehouse = 1 OR w.disabled = 1
UNION ALL
-- What open work orders and subcontractors still take, as the bin says it.
SELECT b.item_code, b.warehouse, 'demand',
       COALESCE(b.reserved_qty_for_production, 0) + COALESCE(b.reserved_qty_for_sub_contract, 0),
       NULL, NULL
  FROM `tabBin` b
 WHERE COALESCE(b.reserved_qty_for_production, 0) + COALESCE(b.reserved_qty_for_sub_contract, 0) <> 0
UNION ALL
-- Sold and to be delivered from a warehouse.  ERPNext reserves nothing for an order on hold or closed; what a supplier
-- delivers never passes the warehouse; a bundle is no stock item.
SELECT s.item_code, s.warehouse, 'demand', s.stock_qty, s.delivery_date, CONCAT(s.parent, '/', s.name)
  FROM `tabSales Order Item` s
  JOIN `tabSales Order` o ON o.name = s.parent
  JOIN `tabItem` i ON i.name = s.item_code
 WHERE o.docstatus = 1 AND o.status NOT IN ('On Hold', 'Closed') AND i.is_stock_item = 1 AND s.delivered_by_supplier = 0
   AND s.warehouse <> ''
UNION ALL
SELECT s.item_code, s.warehouse, 'fulfilled', ROUND(s.delivered_qty * s.conversion_factor, 9), s.delivery_date,
       CONCAT(s.parent, '/', s.name)
  FROM `tabSales Order Item` s
  JOIN `tabSales Order` o ON o.name = s.parent
  JOIN `tabItem` i ON i.name = s.item_code
 WHERE o.docstatus = 1 AND o.status NOT IN ('On Hold', 'Closed') AND i.is_stock_item = 1 AND s.delivered_by_supplier = 0
   AND s.warehouse <> ''
UNION ALL
-- The pieces of a bundle that was sold, as they were when the order was made; delivered as far as the bundle is.
SELECT k.item_code, k.warehouse, 'demand', k.qty, s.delivery_date, CONCAT(k.parent, '/', k.name)
  FROM `tabPacked Item` k
  JOIN `tabSales Order Item` s ON s.name = k.parent_detail_docname
  JOIN `tabSales Order` o ON o.name = s.parent
 WHERE k.parenttype = 'Sales Order' AND k.item_code <> k.parent_item AND k.warehouse <> ''
   AND o.docstatus = 1 AND o.status NOT IN ('On Hold', 'Closed') AND s.delivered_by_supplier = 0
UNION ALL
SELECT k.item_code, k.warehouse, 'fulfilled', ROUND(k.qty * s.delivered_qty / s.qty, 9), s.delivery_date,
       CONCAT(k.parent, '/', k.name)
  FROM `tabPacked Item` k
  JOIN `tabSales Order Item` s ON s.name = k.parent_detail_docname
  JOIN `tabSales Order` o ON o.name = s.parent
 WHERE k.parenttype = 'Sales Order' AND k.item_code <> k.parent_item AND k.warehouse <> ''
   AND o.docstatus = 1 AND o.status NOT IN ('On Hold', 'Closed') AND s.delivered_by_supplier = 0 AND s.qty > 0
UNION ALL
SELECT p.item_code, p.warehouse, 'inbound', ROUND(p.qty * p.conversion_factor, 9), p.schedule_date,
       CONCAT(p.parent, '/', p.name)
  FROM `tabPurchase Order Item` p
  JOIN `tabPurchase Order` o ON o.name = p.parent
 WHERE o.docstatus = 1 AND o.status NOT IN ('Closed', 'Delivered') AND p.delivered_by_supplier = 0 AND p.item_code <> ''
   AND p.warehouse <> ''
UNION ALL
SELECT p.item_code, p.warehouse, 'received', ROUND(p.received_qty * p.conversion_factor, 9), p.schedule_date,
       CONCAT(p.parent, '/', p.name)
  FROM `tabPurchase Order Item` p
  JOIN `tabPurchase Order` o ON o.name = p.parent
 WHERE o.docstatus = 1 AND o.status NOT IN ('Closed', 'Delivered') AND p.delivered_by_supplier = 0 AND p.item_code <> ''
   AND p.warehouse <> '';
