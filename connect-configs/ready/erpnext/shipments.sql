-- A row of a delivery note is a shipment of its own: one order line may leave in several (by batch, by warehouse).
SELECT CONCAT(d.parent, '/', d.name) AS shipment_id, d.against_sales_order AS order_id,
       CONCAT(d.against_sales_order, '/', d.so_detail) AS line_id, d.parent AS number,
       NULLIF(n.transporter_name, '') AS carrier, NULLIF(n.lr_no, '') AS tracking,
       CONCAT('', n.docstatus) AS status, d.qty AS quantity, d.modified AS as_of
  FROM `tabDelivery Note Item` d
  JOIN `tabDelivery Note` n ON n.name = d.parent
 WHERE n.is_return = 0 AND d.so_detail <> '' AND d.against_sales_order <> '';
