-- What was shipped of a line, Tryton adds up over its moves: onhand has it from shipments.sql.
SELECT 'sale.sale,' || sl.sale AS order_id, 'sale.line,' || sl.id AS line_id,
       p.code AS sku, w.code AS location, u.symbol AS unit,
       CAST(sl.quantity AS numeric) AS ordered,
       CASE WHEN s.state = 'cancelled' THEN CAST(sl.quantity AS numeric) END AS cancelled,
       COALESCE(s.shipping_date, s.sale_date) AS due,
       COALESCE(sl.write_date, sl.create_date) AS as_of
  FROM sale_line sl
  JOIN sale_sale s ON s.id = sl.sale
  JOIN product_product p ON p.id = sl.product
  LEFT JOIN stock_location w ON w.id = s.warehouse
  LEFT JOIN product_uom u ON u.id = sl.unit
 WHERE sl.type = 'line' AND s.state IN ('confirmed', 'processing', 'done', 'cancelled');
