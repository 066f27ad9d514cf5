SELECT CONCAT('SO-', t.order_no) AS order_id,
       CONCAT('SO-', t.order_no, '-', t.line_no) AS line_id,
       UPPER(REPLACE(i.item_code, '-', '')) AS sku,
       UPPER(w.wh_code) AS location,
       t.qty_req AS allocated, t.qty_picked AS picked, t.qty_packed AS packed, t.qty_shipped AS shipped
  FROM pick_task t
  JOIN item i ON i.item_id = t.item_id
  JOIN warehouse w ON w.wh_id = t.wh_id
 WHERE t.status <> 90;
