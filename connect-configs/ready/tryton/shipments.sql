-- A move says in `origin` which order line it serves ('sale.line,12'), in `shipment` how it goes
-- ('stock.shipment.out,7').
SELECT m.shipment AS shipment_id, 'sale.sale,' || sl.sale AS order_id, m.origin AS line_id, h.number AS number,
       CASE WHEN m.state = 'cancelled' THEN 'cancelled' ELSE h.state END AS status,
       CAST(m.quantity AS numeric) AS quantity,
       COALESCE(m.write_date, m.create_date) AS as_of
  FROM stock_move m
  JOIN stock_shipment_out h
    ON h.id = CASE WHEN m.shipment LIKE 'stock.shipment.out,%' THEN CAST(split_part(m.shipment, ',', 2) AS integer) END
  JOIN sale_line sl
    ON sl.id = CASE WHEN m.origin LIKE 'sale.line,%' THEN CAST(split_part(m.origin, ',', 2) AS integer) END;
