SELECT s.parent AS order_id, CONCAT(s.parent, '/', s.name) AS line_id, s.item_code AS sku, s.warehouse AS location,
       s.uom AS unit, s.qty AS ordered, s.delivered_qty AS shipped, s.returned_qty AS returned,
       CASE WHEN s.docstatus = 2 THEN s.qty END AS cancelled, s.delivery_date AS due, s.modified AS as_of
  FROM `tabSales Order Item` s
 WHERE s.docstatus IN (1, 2);
