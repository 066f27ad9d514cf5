-- On hand is the sum of the ledger (Item.Inventory, a FlowField).  A drop shipment never was here; what is on a
-- transfer's way is inbound where it goes.  An item without stock (Type 1, 2) has ledger entries too.
SELECT e.[Item No_] AS sku,
       CASE WHEN e.[Location Code] = '' THEN 'MAIN' ELSE e.[Location Code] END AS location, 'on_hand' AS bucket,
       ROUND(e.[Quantity], 5) AS quantity, CAST(NULL AS date) AS due, CAST(NULL AS varchar(80)) AS reference
  FROM [dbo].[${company}$Item Ledger Entry] e
  JOIN [dbo].[${company}$Item] i ON i.[No_] = e.[Item No_]
  LEFT JOIN [dbo].[${company}$Location] p ON p.[Code] = e.[Location Code]
 WHERE i.[Type] = 0 AND e.[Drop Shipment] = 0 AND COALESCE(p.[Use As In-Transit], 0) = 0
UNION ALL
-- Qty. on Sales Order: Document Type 1 is an order, Type 2 an item.  A reservation is for such a
-- line, and is no posting.
SELECT s.[No_], CASE WHEN s.[Location Code] = '' THEN 'MAIN' ELSE s.[Location Code] END, 'demand',
       ROUND(s.[Outstanding Qty_ (Base)], 5),
       CASE WHEN s.[Shipment Date] > '17530101' THEN CAST(s.[Shipment Date] AS date) END,
       'sale/${company}/' + s.[Document No_] + '/' + CAST(s.[Line No_] AS varchar(10))
  FROM [dbo].[${company}$Sales Line] s
  JOIN [dbo].[${company}$Item] i ON i.[No_] = s.[No_]
 WHERE i.[Type] = 0 AND s.[Document Type] = 1 AND s.[Type] = 2 AND s.[Drop Shipment] = 0
   AND s.[Outstanding Qty_ (Base)] <> 0
UNION ALL
-- Qty. on Sales Return: Document Type 5 is a return order.
SELECT s.[No_], CASE WHEN s.[Location Code] = '' THEN 'MAIN' ELSE s.[Location Code] END, 'inbound',
       ROUND(s.[Outstanding Qty_ (Base)], 5),
       CASE WHEN s.[Shipment Date] > '17530101' THEN CAST(s.[Shipment Date] AS date) END,
       'sale_return/${company}/' + s.[Document No_] + '/' + CAST(s.[Line No_] AS varchar(10))
  FROM [dbo].[${company}$Sales Line] s
  JOIN [dbo].[${company}$Item] i ON i.[No_] = s.[No_]
 WHERE i.[Type] = 0 AND s.[Document Type] = 5 AND s.[Type] = 2 AND s.[Outstanding Qty_ (Base)] <> 0
UNION ALL
-- Qty. on Purch. Order and Qty. on Purch. Return.
SELECT l.[No_], CASE WHEN l.[Location Code] = '' THEN 'MAIN' ELSE l.[Location Code] END, 'inbound',
       ROUND(l.[Outstanding Qty_ (Base)], 5),
       CASE WHEN l.[Expected Receipt Date] > '17530101' THEN CAST(l.[Expected Receipt Date] AS date) END,
       'purchase/${company}/' + l.[Document No_] + '/' + CAST(l.[Line No_] AS varchar(10))
  FROM [dbo].[${company}$Purchase Line] l
  JOIN [dbo].[${company}$Item] i ON i.[No_] = l.[No_]
 WHERE i.[Type] = 0 AND l.[Document Type] = 1 AND l.[Type] = 2 AND l.[Drop Shipment] = 0
   AND l.[Outstanding Qty_ (Base)] <> 0
UNION ALL
SELECT l.[No_], CASE WHEN l.[Location Code] = '' THEN 'MAIN' ELSE l.[Location Code] END, 'demand',
       ROUND(l.[Outstanding Qty_ (Base)], 5),
       CASE WHEN l.[Expected Receipt Date] > '17530101' THEN CAST(l.[Expected Receipt Date] AS date) END,
       'purchase_return/${company}/' + l.[Document No_] + '/' + CAST(l.[Line No_] AS varchar(10))
  FROM [dbo].[${company}$Purchase Line] l
  JOIN [dbo].[${company}$Item] i ON i.[No_] = l.[No_]
 WHERE i.[Type] = 0 AND l.[Document Type] = 5 AND l.[Type] = 2 AND l.[Outstanding Qty_ (Base)] <> 0
UNION ALL
-- Trans. Ord. Shipment, Trans. Ord. Receipt and Qty. in Transit.  A line that is derived from another repeats its
-- quantities for item tracking.
SELECT t.[Item No_], CASE WHEN t.[Transfer-from Code] = '' THEN 'MAIN' ELSE t.[Transfer-from Code] END, 'demand',
       ROUND(t.[Outstanding Qty_ (Base)], 5),
       CASE WHEN t.[Shipment Date] > '17530101' THEN CAST(t.[Shipment Date] AS date) END,
       'transfer/${company}/' + t.[Document No_] + '/' + CAST(t.[Line No_] AS varchar(10))
  FROM [dbo].[${company}$Transfer Line] t
  JOIN [dbo].[${company}$Item] i ON i.[No_] = t.[Item No_]
 WHERE i.[Type] = 0 AND t.[Derived From Line No_] = 0 AND t.[Outstanding Qty_ (Base)] <> 0
UNION ALL
SELECT t.[Item No_], CASE WHEN t.[Transfer-to Code] = '' THEN 'MAIN' ELSE t.[Transfer-to Code] END, 'inbound',
       ROUND(t.[Outstanding Qty_ (Base)] + t.[Qty_ in Transit (Base)], 5),
       CASE WHEN t.[Receipt Date] > '17530101' THEN CAST(t.[Receipt Date] AS date) END,
       'transfer/${company}/' + t.[Document No_] + '/' + CAST(t.[Line No_] AS varchar(10))
  FROM [dbo].[${company}$Transfer Line] t
  JOIN [dbo].[${company}$Item] i ON i.[No_] = t.[Item No_]
 WHERE i.[Type] = 0 AND t.[Derived From Line No_] = 0
   AND t.[Outstanding Qty_ (Base)] + t.[Qty_ in Transit (Base)] <> 0
UNION ALL
-- Scheduled Receipt and Scheduled Need: Status 2 is a firm planned production order, 3 a released one.  Without
-- manufacturing these two go.
SELECT r.[Item No_], CASE WHEN r.[Location Code] = '' THEN 'MAIN' ELSE r.[Location Code] END, 'inbound',
       ROUND(r.[Remaining Qty_ (Base)], 5), CASE WHEN r.[Due Date] > '17530101' THEN CAST(r.[Due Date] AS date) END,
       'production/${company}/' + r.[Prod_ Order No_] + '/' + CAST(r.[Line No_] AS varchar(10))
  FROM [dbo].[${company}$Prod_ Order Line] r
  JOIN [dbo].[${company}$Item] i ON i.[No_] = r.[Item No_]
 WHERE i.[Type] = 0 AND r.[Status] IN (2, 3) AND r.[Remaining Qty_ (Base)] <> 0
UNION ALL
SELECT c.[Item No_], CASE WHEN c.[Location Code] = '' THEN 'MAIN' ELSE c.[Location Code] END, 'demand',
       ROUND(c.[Remaining Qty_ (Base)], 5), CASE WHEN c.[Due Date] > '17530101' THEN CAST(c.[Due Date] AS date) END,
       'component/${company}/' + c.[Prod_ Order No_] + '/' + CAST(c.[Prod_ Order Line No_] AS varchar(10)) + '/'
       + CAST(c.[Line No_] AS varchar(10))
  FROM [dbo].[${company}$Prod_ Order Component] c
  JOIN [dbo].[${company}$Item] i ON i.[No_] = c.[Item No_]
 WHERE i.[Type] = 0 AND c.[Status] IN (2, 3) AND c.[Remaining Qty_ (Base)] <> 0
UNION ALL
-- Qty. on Assembly Order and Qty. on Asm. Component.
SELECT a.[Item No_], CASE WHEN a.[Location Code] = '' THEN 'MAIN' ELSE a.[Location Code] END, 'inbound',
       ROUND(a.[Remaining Quantity (Base)], 5), CASE WHEN a.[Due Date] > '17530101' THEN CAST(a.[Due Date] AS date) END,
       'assembly/${company}/' + a.[No_]
  FROM [dbo].[${company}$Assembly Header] a
  JOIN [dbo].[${company}$Item] i ON i.[No_] = a.[Item No_]
 WHERE i.[Type] = 0 AND a.[Document Type] = 1 AND a.[Remaining Quantity (Base)] <> 0
UNION ALL
SELECT a.[No_], CASE WHEN a.[Location Code] = '' THEN 'MAIN' ELSE a.[Location Code] END, 'demand',
       ROUND(a.[Remaining Quantity (Base)], 5), CASE WHEN a.[Due Date] > '17530101' THEN CAST(a.[Due Date] AS date) END,
       'assembly/${company}/' + a.[Document No_] + '/' + CAST(a.[Line No_] AS varchar(10))
  FROM [dbo].[${company}$Assembly Line] a
  JOIN [dbo].[${company}$Item] i ON i.[No_] = a.[No_]
 WHERE i.[Type] = 0 AND a.[Document Type] = 1 AND a.[Type] = 1 AND a.[Remaining Quantity (Base)] <> 0;
