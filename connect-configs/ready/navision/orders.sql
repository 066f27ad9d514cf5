-- Document Type 1 is an order.  The row goes when the order is shipped and invoiced in full.
SELECT '${company}/' + h.[No_] AS order_id, h.[No_] AS number, h.[Sell-to Customer No_] AS customer,
       CASE WHEN h.[Requested Delivery Date] > '17530101' THEN CAST(h.[Requested Delivery Date] AS date) END AS due,
       CAST(h.[Status] AS varchar(10)) AS execution_status
  FROM [dbo].[${company}$Sales Header] h
 WHERE h.[Document Type] = 1;
