-- On hand is what the quants of a warehouse's places say; there may be several of one product at one place, and below
-- zero too: they add up.  Odoo reserves on quants and moves alike; a reserved move is demand here, so reserved_quantity
-- is not posted.
SELECT p.default_code AS sku, w.code AS location, 'on_hand' AS bucket, ROUND(COALESCE(q.quantity, 0), 9) AS quantity,
       CAST(NULL AS date) AS due, CAST(NULL AS text) AS reference
  FROM stock_quant q
  JOIN product_product p ON p.id = q.product_id
  JOIN stock_location l ON l.id = q.location_id
  JOIN stock_warehouse w ON w.id = l.warehouse_id
 WHERE p.default_code <> ''
UNION ALL
-- What stands at a scrap place inside a warehouse is there, and not for sale.
SELECT p.default_code, w.code, 'on_hold', ROUND(COALESCE(q.quantity, 0), 9), CAST(NULL AS date), CAST(NULL AS text)
  FROM stock_quant q
  JOIN product_product p ON p.id = q.product_id
  JOIN stock_location l ON l.id = q.location_id
  JOIN stock_warehouse w ON w.id = l.warehouse_id
 WHERE p.default_code <> '' AND l.scrap_location
UNION ALL
-- Demand is every open move that leaves a warehouse, to a customer, to production, to another warehouse; inside one
-- (pick, pack) nothing changes.  product_qty is in the product's own unit.  A move that is done has changed the quants
-- in the same transaction.
SELECT p.default_code, w.code, 'demand', ROUND(COALESCE(m.product_qty, 0), 9), CAST(m.date AS date),
       CASE WHEN m.sale_line_id IS NOT NULL THEN 'sale.order.line,' || m.sale_line_id ELSE 'stock.move,' || m.id END
  FROM stock_move m
  JOIN product_product p ON p.id = m.product_id
  JOIN stock_location f ON f.id = m.location_id
  JOIN stock_location t ON t.id = m.location_dest_id
  JOIN stock_warehouse w ON w.id = f.warehouse_id
 WHERE m.state IN ('waiting', 'confirmed', 'partially_available', 'assigned') AND p.default_code <> ''
   AND f.warehouse_id IS DISTINCT FROM t.warehouse_id
UNION ALL
SELECT p.default_code, w.code, 'inbound', ROUND(COALESCE(m.product_qty, 0), 9), CAST(m.date AS date),
       CASE WHEN m.purchase_line_id IS NOT NULL THEN 'purchase.order.line,' || m.purchase_line_id
            ELSE 'stock.move,' || m.id END
  FROM stock_move m
  JOIN product_product p ON p.id = m.product_id
  JOIN stock_location f ON f.id = m.location_id
  JOIN stock_location t ON t.id = m.location_dest_id
  JOIN stock_warehouse w ON w.id = t.warehouse_id
 WHERE m.state IN ('waiting', 'confirmed', 'partially_available', 'assigned') AND p.default_code <> ''
   AND f.warehouse_id IS DISTINCT FROM t.warehouse_id;
