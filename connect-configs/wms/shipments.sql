SELECT CONCAT('SHP-', h.shp_id) AS shipment_id,
       CONCAT('SO-', h.order_no) AS order_id,
       CONCAT('SO-', h.order_no, '-', l.line_no) AS line_id,
       CONCAT('', h.shp_id) AS number,
       h.carrier AS carrier, NULLIF(h.tracking, '') AS tracking,
       CONCAT('', h.status) AS status,
       l.qty AS quantity, h.shipped_at AS shipped_at, h.delivered_at AS delivered_at
  FROM shipment_line l
  JOIN shipment h ON h.shp_id = l.shp_id;
