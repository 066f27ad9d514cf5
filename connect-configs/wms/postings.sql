-- What stands in the bins is on hand; what stands there in a held lot is on hold too (it stays on hand).
SELECT UPPER(REPLACE(i.item_code, '-', '')) AS sku,
       UPPER(w.wh_code) AS location,
       'on_hand' AS bucket,
       s.qty AS quantity,
       CAST(NULL AS DATE) AS due,
       CAST(NULL AS CHAR) AS reference
  FROM bin_stock s
  JOIN item i ON i.item_id = s.item_id
  JOIN bin b ON b.bin_id = s.bin_id
  JOIN warehouse w ON w.wh_id = b.wh_id
 WHERE b.bin_type <> 'SCRAP'
UNION ALL
SELECT UPPER(REPLACE(i.item_code, '-', '')), UPPER(w.wh_code), 'on_hold', s.qty, CAST(NULL AS DATE), CAST(NULL AS CHAR)
  FROM bin_stock s
  JOIN item i ON i.item_id = s.item_id
  JOIN bin b ON b.bin_id = s.bin_id
  JOIN warehouse w ON w.wh_id = b.wh_id
  JOIN lot t ON t.lot_id = s.lot_id
 WHERE b.bin_type <> 'SCRAP' AND t.hold_status <> 0
UNION ALL
-- Goods leave in the transaction that writes the shipment line: stock falls and `fulfilled` rises together.
SELECT UPPER(REPLACE(i.item_code, '-', '')), UPPER(w.wh_code), 'fulfilled', l.qty, CAST(NULL AS DATE),
       CONCAT('SO-', h.order_no, '-', l.line_no)
  FROM shipment_line l
  JOIN shipment h ON h.shp_id = l.shp_id
  JOIN item i ON i.item_id = l.item_id
  JOIN warehouse w ON w.wh_id = l.wh_id
UNION ALL
SELECT UPPER(REPLACE(i.item_code, '-', '')), UPPER(w.wh_code), 'received', r.qty, CAST(NULL AS DATE),
       CONCAT('PO-', r.po_no, '-', r.po_line)
  FROM receipt r
  JOIN item i ON i.item_id = r.item_id
  JOIN warehouse w ON w.wh_id = r.wh_id
UNION ALL
-- A transfer under way is inbound where it goes; arrived, it is received in the transaction that fills the bin.
SELECT UPPER(REPLACE(i.item_code, '-', '')), UPPER(w.wh_code), 'inbound', t.qty, t.eta, CONCAT('TR-', t.trf_id)
  FROM transfer t
  JOIN item i ON i.item_id = t.item_id
  JOIN warehouse w ON w.wh_id = t.to_wh
UNION ALL
SELECT UPPER(REPLACE(i.item_code, '-', '')), UPPER(w.wh_code), 'received', t.qty, t.eta, CONCAT('TR-', t.trf_id)
  FROM transfer t
  JOIN item i ON i.item_id = t.item_id
  JOIN warehouse w ON w.wh_id = t.to_wh
 WHERE t.status = 2;
