-- Quotations are no orders yet.
SELECT 'sale.order,' || s.id AS order_id, s.name AS number, 'res.partner,' || s.partner_id AS customer,
       s.date_order AS placed_at, CAST(s.commitment_date AS date) AS due,
       s.invoice_status AS financial_status,
       CASE WHEN s.state = 'cancel' THEN 'cancel' ELSE COALESCE(s.delivery_status, 'entered') END AS execution_status,
       s.write_date AS as_of
  FROM sale_order s
 WHERE s.state IN ('sale', 'done', 'cancel');
