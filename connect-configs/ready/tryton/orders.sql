-- Drafts and quotations are no orders yet.
SELECT 'sale.sale,' || s.id AS order_id, s.number AS number, 'party.party,' || s.party AS customer,
       s.create_date AS placed_at, COALESCE(s.shipping_date, s.sale_date) AS due,
       s.invoice_state AS financial_status,
       CASE WHEN s.state = 'processing' THEN 'processing/' || s.shipment_state ELSE s.state END AS execution_status,
       COALESCE(s.write_date, s.create_date) AS as_of
  FROM sale_sale s
 WHERE s.state IN ('confirmed', 'processing', 'done', 'cancelled');
