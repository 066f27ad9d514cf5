-- In the product's own unit: a factor says how many of the line's unit make one of the category's reference.
SELECT 'sale.order,' || l.order_id AS order_id, 'sale.order.line,' || l.id AS line_id,
       p.default_code AS sku, w.code AS location,
       ROUND(l.product_uom_qty / NULLIF(u.factor, 0) * d.factor, 9) AS ordered,
       ROUND(COALESCE(l.qty_delivered, 0) / NULLIF(u.factor, 0) * d.factor, 9) AS shipped,
       CASE WHEN s.state = 'cancel' THEN ROUND(l.product_uom_qty / NULLIF(u.factor, 0) * d.factor, 9) END AS cancelled,
       CAST(s.commitment_date AS date) AS due,
       l.write_date AS as_of
  FROM sale_order_line l
  JOIN sale_order s ON s.id = l.order_id
  JOIN product_product p ON p.id = l.product_id
  JOIN product_template t ON t.id = p.product_tmpl_id
  JOIN uom_uom u ON u.id = l.product_uom
  JOIN uom_uom d ON d.id = t.uom_id
  LEFT JOIN stock_warehouse w ON w.id = s.warehouse_id
 WHERE s.state IN ('sale', 'done', 'cancel') AND l.display_type IS NULL AND t.type <> 'service'
   AND NOT COALESCE(l.is_downpayment, FALSE);
