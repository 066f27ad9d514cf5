-- On hand and on hold are OpenBoxes' own balance by product, lot and bin; it computes it from its transactions, whose
-- entries mean different things by type.  What is allocated is part of the demand below.
SELECT p.product_code AS sku, l.name AS location, 'on_hand' AS bucket, a.quantity_on_hand AS quantity,
       NULL AS due, NULL AS reference
  FROM product_availability a
  JOIN product p ON p.id = a.product_id
  JOIN location l ON l.id = a.location_id
 WHERE p.product_code <> ''
UNION ALL
-- In a recalled lot, or in a bin of held stock.
SELECT p.product_code, l.name, 'on_hold', a.quantity_on_hold, NULL, NULL
  FROM product_availability a
  JOIN product p ON p.id = a.product_id
  JOIN location l ON l.id = a.location_id
 WHERE p.product_code <> '' AND a.quantity_on_hold IS NOT NULL
UNION ALL
-- What is requested of a place and has not been issued.  A changed or substituted line is cancelled in full, and its
-- replacement is a row of its own.
SELECT p.product_code, l.name, 'demand', i.quantity - COALESCE(i.quantity_canceled, 0), DATE(r.requested_delivery_date),
       CONCAT('requisition_item,', i.id)
  FROM requisition_item i
  JOIN requisition r ON r.id = i.requisition_id
  JOIN product p ON p.id = i.product_id
  JOIN location l ON l.id = r.origin_id
 WHERE r.status IN ('CREATED', 'EDITING', 'VERIFYING', 'PICKING', 'PICKED', 'CHECKING', 'PENDING', 'REQUESTED',
                    'APPROVED', 'PENDING_APPROVAL')
   AND COALESCE(r.is_template, 0) = 0 AND i.quantity > COALESCE(i.quantity_canceled, 0) AND p.product_code <> ''
UNION ALL
-- What goes back to a supplier.
SELECT p.product_code, l.name, 'demand', ROUND(i.quantity * i.quantity_per_uom, 2), DATE(i.estimated_ship_date),
       CONCAT('order_item,', i.id)
  FROM order_item i
  JOIN `order` o ON o.id = i.order_id
  JOIN product p ON p.id = i.product_id
  JOIN location l ON l.id = o.origin_id
 WHERE o.order_type_id = 'RETURN_ORDER' AND o.status IN ('PENDING', 'APPROVED', 'PLACED', 'PARTIALLY_RECEIVED')
   AND i.order_item_status_code <> 'CANCELED' AND i.quantity_per_uom IS NOT NULL AND p.product_code <> ''
UNION ALL
-- On its way to a depot.
SELECT p.product_code, l.name, 'inbound', i.quantity, DATE(s.expected_delivery_date), CONCAT('shipment_item,', i.id)
  FROM shipment_item i
  JOIN shipment s ON s.id = i.shipment_id
  JOIN product p ON p.id = i.product_id
  JOIN location l ON l.id = s.destination_id
  JOIN location_type t ON t.id = l.location_type_id
 WHERE s.current_status IN ('SHIPPED', 'PARTIALLY_RECEIVED') AND t.location_type_code = 'DEPOT' AND p.product_code <> ''
UNION ALL
-- Come, or written off on arrival.
SELECT p.product_code, l.name, 'received', COALESCE(e.quantity_received, 0) + COALESCE(e.quantity_canceled, 0),
       DATE(s.expected_delivery_date), CONCAT('shipment_item,', i.id)
  FROM receipt_item e
  JOIN receipt c ON c.id = e.receipt_id
  JOIN shipment_item i ON i.id = e.shipment_item_id
  JOIN shipment s ON s.id = i.shipment_id
  JOIN product p ON p.id = i.product_id
  JOIN location l ON l.id = s.destination_id
  JOIN location_type t ON t.id = l.location_type_id
 WHERE c.receipt_status_code = 'RECEIVED' AND s.current_status IN ('SHIPPED', 'PARTIALLY_RECEIVED')
   AND t.location_type_code = 'DEPOT' AND p.product_code <> '';
