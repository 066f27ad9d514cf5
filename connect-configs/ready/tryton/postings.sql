-- Tryton keeps no balance: stock on hand is the sum of all moves that are done, and a forecast the sum of those that
-- are not.  A move counts at the warehouse above the place it goes to or leaves, at most four levels up (deeper is
-- told as a row that cannot be mapped, never left out); inside one warehouse it changes nothing, and a place above
-- which there is no warehouse (goods between two of them) is nowhere to promise from.  Quantities are in the
-- product's own unit already.  Several companies on one database: add `AND m.company = …` everywhere.
SELECT p.code AS sku,
       CASE WHEN i1.type = 'warehouse' THEN i1.code WHEN i2.type = 'warehouse' THEN i2.code
            WHEN i3.type = 'warehouse' THEN i3.code WHEN i4.type = 'warehouse' THEN i4.code END AS location,
       CASE WHEN m.state = 'done' THEN 'on_hand' ELSE 'inbound' END AS bucket,
       CAST(m.internal_quantity AS numeric) AS quantity,
       CASE WHEN m.state <> 'done' THEN COALESCE(m.effective_date, m.planned_date) END AS due,
       CASE WHEN m.state <> 'done' THEN COALESCE(m.origin, 'stock.move,' || m.id) END AS reference
  FROM stock_move m
  JOIN product_product p ON p.id = m.product
  JOIN stock_location i ON i.id = m.to_location
  JOIN stock_location o ON o.id = m.from_location
  LEFT JOIN stock_location i1 ON i1.id = i.parent
  LEFT JOIN stock_location i2 ON i2.id = i1.parent
  LEFT JOIN stock_location i3 ON i3.id = i2.parent
  LEFT JOIN stock_location i4 ON i4.id = i3.parent
  LEFT JOIN stock_location o1 ON o1.id = o.parent
  LEFT JOIN stock_location o2 ON o2.id = o1.parent
  LEFT JOIN stock_location o3 ON o3.id = o2.parent
  LEFT JOIN stock_location o4 ON o4.id = o3.parent
 WHERE m.state IN ('draft', 'assigned', 'done') AND p.code <> '' AND i.type = 'storage'
   AND (i1.type = 'warehouse' OR i2.type = 'warehouse' OR i3.type = 'warehouse' OR i4.type = 'warehouse'
        OR i4.parent IS NOT NULL)
   AND CASE WHEN i1.type = 'warehouse' THEN i1.id WHEN i2.type = 'warehouse' THEN i2.id
            WHEN i3.type = 'warehouse' THEN i3.id WHEN i4.type = 'warehouse' THEN i4.id END
       IS DISTINCT FROM
       CASE WHEN o.type <> 'storage' THEN NULL
            WHEN o1.type = 'warehouse' THEN o1.id WHEN o2.type = 'warehouse' THEN o2.id
            WHEN o3.type = 'warehouse' THEN o3.id WHEN o4.type = 'warehouse' THEN o4.id END
UNION ALL
SELECT p.code,
       CASE WHEN o1.type = 'warehouse' THEN o1.code WHEN o2.type = 'warehouse' THEN o2.code
            WHEN o3.type = 'warehouse' THEN o3.code WHEN o4.type = 'warehouse' THEN o4.code END,
       CASE WHEN m.state = 'done' THEN 'on_hand' ELSE 'demand' END,
       CASE WHEN m.state = 'done' THEN -1 ELSE 1 END * CAST(m.internal_quantity AS numeric),
       CASE WHEN m.state <> 'done' THEN COALESCE(m.effective_date, m.planned_date) END,
       CASE WHEN m.state <> 'done' THEN COALESCE(m.origin, 'stock.move,' || m.id) END
  FROM stock_move m
  JOIN product_product p ON p.id = m.product
  JOIN stock_location i ON i.id = m.to_location
  JOIN stock_location o ON o.id = m.from_location
  LEFT JOIN stock_location i1 ON i1.id = i.parent
  LEFT JOIN stock_location i2 ON i2.id = i1.parent
  LEFT JOIN stock_location i3 ON i3.id = i2.parent
  LEFT JOIN stock_location i4 ON i4.id = i3.parent
  LEFT JOIN stock_location o1 ON o1.id = o.parent
  LEFT JOIN stock_location o2 ON o2.id = o1.parent
  LEFT JOIN stock_location o3 ON o3.id = o2.parent
  LEFT JOIN stock_location o4 ON o4.id = o3.parent
 WHERE m.state IN ('draft', 'assigned', 'done') AND p.code <> '' AND o.type = 'storage'
   AND (o1.type = 'warehouse' OR o2.type = 'warehouse' OR o3.type = 'warehouse' OR o4.type = 'warehouse'
        OR o4.parent IS NOT NULL)
   AND CASE WHEN o1.type = 'warehouse' THEN o1.id WHEN o2.type = 'warehouse' THEN o2.id
            WHEN o3.type = 'warehouse' THEN o3.id WHEN o4.type = 'warehouse' THEN o4.id END
       IS DISTINCT FROM
       CASE WHEN i.type <> 'storage' THEN NULL
            WHEN i1.type = 'warehouse' THEN i1.id WHEN i2.type = 'warehouse' THEN i2.id
            WHEN i3.type = 'warehouse' THEN i3.id WHEN i4.type = 'warehouse' THEN i4.id END
UNION ALL
-- What is ordered and has no move yet: a sale that waits to be processed, or is shipped by hand.  Tryton's own forecast
-- does not know it; whoever promises must.  A kit's demand falls on its components, as components.sql says.
SELECT p.code, w.code, 'demand',
       ROUND(CASE WHEN s.state = 'confirmed' THEN CAST(sl.quantity AS numeric)
                  ELSE CAST(sl.quantity_to_ship AS numeric) END
             * CAST(u.factor AS numeric) / NULLIF(CAST(d.factor AS numeric), 0), d.digits),
       COALESCE(s.shipping_date, s.sale_date), 'sale.line,' || sl.id
  FROM sale_line sl
  JOIN sale_sale s ON s.id = sl.sale
  JOIN stock_location w ON w.id = s.warehouse
  JOIN product_product p ON p.id = sl.product
  JOIN product_template t ON t.id = p.template
  JOIN product_uom u ON u.id = sl.unit
  JOIN product_uom d ON d.id = t.default_uom
 WHERE s.state IN ('confirmed', 'processing') AND sl.type = 'line' AND t.type <> 'service' AND p.code <> ''
   AND CASE WHEN s.state = 'confirmed' THEN CAST(sl.quantity AS numeric)
            ELSE CAST(sl.quantity_to_ship AS numeric) END > 0
UNION ALL
-- The same of a purchase.
SELECT p.code, w.code, 'inbound',
       ROUND(CAST(pl.quantity AS numeric) * CAST(u.factor AS numeric) / NULLIF(CAST(d.factor AS numeric), 0), d.digits),
       COALESCE(pl.delivery_date_store, po.delivery_date), 'purchase.line,' || pl.id
  FROM purchase_line pl
  JOIN purchase_purchase po ON po.id = pl.purchase
  JOIN stock_location w ON w.id = po.warehouse
  JOIN product_product p ON p.id = pl.product
  JOIN product_template t ON t.id = p.template
  JOIN product_uom u ON u.id = pl.unit
  JOIN product_uom d ON d.id = t.default_uom
 WHERE po.state = 'confirmed' AND pl.type = 'line' AND t.type = 'goods' AND p.code <> ''
   AND CAST(pl.quantity AS numeric) > 0;
