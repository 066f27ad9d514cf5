SELECT CONCAT('requisition,', i.requisition_id) AS order_id, CONCAT('requisition_item,', i.id) AS line_id,
       p.product_code AS sku, l.name AS location, i.quantity AS ordered, i.quantity_canceled AS cancelled,
       DATE(r.requested_delivery_date) AS due, i.last_updated AS as_of
  FROM requisition_item i
  JOIN requisition r ON r.id = i.requisition_id
  JOIN product p ON p.id = i.product_id
  LEFT JOIN location l ON l.id = r.origin_id
 WHERE COALESCE(r.is_template, 0) = 0 AND r.status <> 'DELETED' AND p.product_code <> '';
