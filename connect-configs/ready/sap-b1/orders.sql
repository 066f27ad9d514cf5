SELECT 'ORDR/' + CAST(o.[DocEntry] AS varchar(11)) AS order_id, CAST(o.[DocNum] AS varchar(11)) AS number,
       o.[CardCode] AS customer, CAST(o.[DocDueDate] AS date) AS due,
       CASE WHEN o.[CANCELED] = 'Y' THEN 'cancelled' WHEN o.[DocStatus] = 'C' THEN 'closed' ELSE 'open' END
       AS execution_status
  FROM [dbo].[ORDR] o
 WHERE o.[DocType] = 'I';
