-- In stock, as the balance of a warehouse says it; below zero too, where the company allows it.
SELECT b.[ItemCode] AS sku, b.[WhsCode] AS location, 'on_hand' AS bucket, COALESCE(b.[OnHand], 0) AS quantity,
       CAST(NULL AS date) AS due, CAST(NULL AS varchar(40)) AS reference
  FROM [dbo].[OITW] b
  JOIN [dbo].[OITM] i ON i.[ItemCode] = b.[ItemCode]
  JOIN [dbo].[OWHS] w ON w.[WhsCode] = b.[WhsCode]
 WHERE i.[InvntItem] = 'Y' AND w.[DropShip] <> 'Y' AND b.[OnHand] <> 0
UNION ALL
-- Committed, by the documents that commit it, so that each says its day: sales orders …
SELECT l.[ItemCode], l.[WhsCode], 'demand', COALESCE(l.[OpenInvQty], 0), CAST(l.[ShipDate] AS date),
       'RDR1/' + CAST(l.[DocEntry] AS varchar(11)) + '/' + CAST(l.[LineNum] AS varchar(11))
  FROM [dbo].[RDR1] l
  JOIN [dbo].[OITM] i ON i.[ItemCode] = l.[ItemCode]
  JOIN [dbo].[OWHS] w ON w.[WhsCode] = l.[WhsCode]
 WHERE l.[LineStatus] = 'O' AND i.[InvntItem] = 'Y' AND w.[DropShip] <> 'Y' AND l.[OpenInvQty] <> 0
UNION ALL
-- … reserve invoices: invoiced, not delivered.  The order's line is closed by then …
SELECT l.[ItemCode], l.[WhsCode], 'demand', COALESCE(l.[OpenInvQty], 0), CAST(l.[ShipDate] AS date),
       'INV1/' + CAST(l.[DocEntry] AS varchar(11)) + '/' + CAST(l.[LineNum] AS varchar(11))
  FROM [dbo].[INV1] l
  JOIN [dbo].[OINV] o ON o.[DocEntry] = l.[DocEntry]
  JOIN [dbo].[OITM] i ON i.[ItemCode] = l.[ItemCode]
  JOIN [dbo].[OWHS] w ON w.[WhsCode] = l.[WhsCode]
 WHERE o.[isIns] = 'Y' AND o.[CANCELED] = 'N' AND l.[InvntSttus] = 'O' AND i.[InvntItem] = 'Y' AND w.[DropShip] <> 'Y'
   AND l.[OpenInvQty] <> 0
UNION ALL
-- … transfer requests, from one warehouse to another …
SELECT l.[ItemCode], l.[FromWhsCod], 'demand', COALESCE(l.[OpenInvQty], 0), CAST(l.[ShipDate] AS date),
       'WTQ1/' + CAST(l.[DocEntry] AS varchar(11)) + '/' + CAST(l.[LineNum] AS varchar(11))
  FROM [dbo].[WTQ1] l
  JOIN [dbo].[OITM] i ON i.[ItemCode] = l.[ItemCode]
  JOIN [dbo].[OWHS] w ON w.[WhsCode] = l.[FromWhsCod]
 WHERE l.[LineStatus] = 'O' AND i.[InvntItem] = 'Y' AND w.[DropShip] <> 'Y' AND l.[OpenInvQty] <> 0
UNION ALL
-- … and the components of production orders, planned and released (ItemType 4 is an item).
SELECT c.[ItemCode], c.[wareHouse], 'demand', COALESCE(c.[PlannedQty], 0) - COALESCE(c.[IssuedQty], 0),
       CAST(p.[DueDate] AS date),
       'WOR1/' + CAST(c.[DocEntry] AS varchar(11)) + '/' + CAST(c.[LineNum] AS varchar(11))
  FROM [dbo].[WOR1] c
  JOIN [dbo].[OWOR] p ON p.[DocEntry] = c.[DocEntry]
  JOIN [dbo].[OITM] i ON i.[ItemCode] = c.[ItemCode]
  JOIN [dbo].[OWHS] w ON w.[WhsCode] = c.[wareHouse]
 WHERE p.[Status] IN ('P', 'R') AND p.[Type] <> 'D' AND c.[ItemType] = 4 AND i.[InvntItem] = 'Y' AND w.[DropShip] <> 'Y'
   AND COALESCE(c.[PlannedQty], 0) > COALESCE(c.[IssuedQty], 0)
UNION ALL
-- Ordered: purchase orders, reserve invoices of vendors, transfer requests, released production orders.
SELECT l.[ItemCode], l.[WhsCode], 'inbound', COALESCE(l.[OpenInvQty], 0), CAST(l.[ShipDate] AS date),
       'POR1/' + CAST(l.[DocEntry] AS varchar(11)) + '/' + CAST(l.[LineNum] AS varchar(11))
  FROM [dbo].[POR1] l
  JOIN [dbo].[OITM] i ON i.[ItemCode] = l.[ItemCode]
  JOIN [dbo].[OWHS] w ON w.[WhsCode] = l.[WhsCode]
 WHERE l.[LineStatus] = 'O' AND i.[InvntItem] = 'Y' AND w.[DropShip] <> 'Y' AND l.[OpenInvQty] <> 0
UNION ALL
SELECT l.[ItemCode], l.[WhsCode], 'inbound', COALESCE(l.[OpenInvQty], 0), CAST(l.[ShipDate] AS date),
       'PCH1/' + CAST(l.[DocEntry] AS varchar(11)) + '/' + CAST(l.[LineNum] AS varchar(11))
  FROM [dbo].[PCH1] l
  JOIN [dbo].[OPCH] o ON o.[DocEntry] = l.[DocEntry]
  JOIN [dbo].[OITM] i ON i.[ItemCode] = l.[ItemCode]
  JOIN [dbo].[OWHS] w ON w.[WhsCode] = l.[WhsCode]
 WHERE o.[isIns] = 'Y' AND o.[CANCELED] = 'N' AND l.[InvntSttus] = 'O' AND i.[InvntItem] = 'Y' AND w.[DropShip] <> 'Y'
   AND l.[OpenInvQty] <> 0
UNION ALL
SELECT l.[ItemCode], l.[WhsCode], 'inbound', COALESCE(l.[OpenInvQty], 0), CAST(l.[ShipDate] AS date),
       'WTQ1/' + CAST(l.[DocEntry] AS varchar(11)) + '/' + CAST(l.[LineNum] AS varchar(11))
  FROM [dbo].[WTQ1] l
  JOIN [dbo].[OITM] i ON i.[ItemCode] = l.[ItemCode]
  JOIN [dbo].[OWHS] w ON w.[WhsCode] = l.[WhsCode]
 WHERE l.[LineStatus] = 'O' AND i.[InvntItem] = 'Y' AND w.[DropShip] <> 'Y' AND l.[OpenInvQty] <> 0
UNION ALL
SELECT p.[ItemCode], p.[Warehouse], 'inbound',
       COALESCE(p.[PlannedQty], 0) - COALESCE(p.[CmpltQty], 0) - COALESCE(p.[RjctQty], 0), CAST(p.[DueDate] AS date),
       'OWOR/' + CAST(p.[DocEntry] AS varchar(11))
  FROM [dbo].[OWOR] p
  JOIN [dbo].[OITM] i ON i.[ItemCode] = p.[ItemCode]
  JOIN [dbo].[OWHS] w ON w.[WhsCode] = p.[Warehouse]
 WHERE p.[Status] = 'R' AND p.[Type] <> 'D' AND i.[InvntItem] = 'Y' AND w.[DropShip] <> 'Y'
   AND COALESCE(p.[PlannedQty], 0) > COALESCE(p.[CmpltQty], 0) + COALESCE(p.[RjctQty], 0);
