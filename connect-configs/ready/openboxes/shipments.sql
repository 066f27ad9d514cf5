-- A row of a shipment is a shipment of its own: one line may leave in several (by lot, by bin, by box).
SELECT CONCAT('shipment_item,', i.id) AS shipment_id, CONCAT('requisition,', q.requisition_id) AS order_id,
       CONCAT('requisition_item,', q.id) AS line_id, s.shipment_number AS number, s.current_status AS status,
       i.quantity AS quantity, s.last_updated AS as_of
  FROM shipment_item i
  JOIN shipment s ON s.id = i.shipment_id
  JOIN requisition_item q ON q.id = i.requisition_item_id;
