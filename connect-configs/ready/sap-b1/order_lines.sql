-- In the item's inventory unit.  The parent of a sales BOM and a service have no stock; the BOM's components have lines
-- of their own.
SELECT 'ORDR/' + CAST(l.[DocEntry] AS varchar(11)) AS order_id, CAST(l.[LineNum] AS varchar(11)) AS line_id,
       l.[ItemCode] AS sku, l.[WhsCode] AS location, COALESCE(l.[InvQty], 0) AS ordered,
       CASE WHEN o.[CANCELED] = 'Y' THEN COALESCE(l.[InvQty], 0) END AS cancelled, CAST(l.[ShipDate] AS date) AS due
  FROM [dbo].[RDR1] l
  JOIN [dbo].[ORDR] o ON o.[DocEntry] = l.[DocEntry]
  JOIN [dbo].[OITM] i ON i.[ItemCode] = l.[ItemCode]
 WHERE i.[InvntItem] = 'Y';
