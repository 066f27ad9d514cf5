-- A transfer to a customer, a row a move.  The moves of a kit's components serve the kit's line in other pieces, and are
-- left out.
SELECT 'stock.picking,' || k.id AS shipment_id, 'sale.order,' || l.order_id AS order_id,
       'sale.order.line,' || l.id AS line_id, k.name AS number, m.state AS status,
       ROUND(COALESCE(m.product_qty, 0), 9) AS quantity,
       CASE WHEN m.state = 'done' THEN k.date_done END AS shipped_at, m.write_date AS as_of
  FROM stock_move m
  JOIN stock_picking k ON k.id = m.picking_id
  JOIN sale_order_line l ON l.id = m.sale_line_id
  JOIN stock_location t ON t.id = m.location_dest_id
 WHERE t.usage = 'customer' AND l.product_id = m.product_id;
