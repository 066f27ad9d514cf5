-- A draft (docstatus 0) is no order yet.
SELECT o.name AS order_id, o.name AS number, o.customer AS customer, o.creation AS placed_at, o.delivery_date AS due,
       o.billing_status AS financial_status,
       CASE WHEN o.docstatus = 2 THEN 'Cancelled' WHEN o.status = 'On Hold' THEN 'On Hold'
            WHEN o.status = 'Closed' THEN 'Closed' ELSE o.delivery_status END AS execution_status,
       o.modified AS as_of
  FROM `tabSales Order` o
 WHERE o.docstatus IN (1, 2);
