-- In the item's base unit of measure.  Type 2 is an item; a comment, an account or a charge has no stock.
SELECT '${company}/' + s.[Document No_] AS order_id, CAST(s.[Line No_] AS varchar(10)) AS line_id, s.[No_] AS sku,
       CASE WHEN s.[Location Code] = '' THEN 'MAIN' ELSE s.[Location Code] END AS location,
       ROUND(s.[Quantity (Base)], 5) AS ordered, ROUND(s.[Qty_ Shipped (Base)], 5) AS shipped,
       CASE WHEN s.[Shipment Date] > '17530101' THEN CAST(s.[Shipment Date] AS date) END AS due
  FROM [dbo].[${company}$Sales Line] s
  JOIN [dbo].[${company}$Item] i ON i.[No_] = s.[No_]
 WHERE s.[Document Type] = 1 AND s.[Type] = 2 AND i.[Type] <> 1;
