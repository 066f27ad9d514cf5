-- A stock movement out of a place: what OpenBoxes calls a requisition.  Templates (stock lists) are none.
SELECT CONCAT('requisition,', r.id) AS order_id, r.request_number AS number, d.name AS customer,
       r.date_requested AS placed_at, DATE(r.requested_delivery_date) AS due, r.status AS execution_status,
       r.last_updated AS as_of
  FROM requisition r
  LEFT JOIN location d ON d.id = r.destination_id
 WHERE COALESCE(r.is_template, 0) = 0 AND r.status <> 'DELETED';
