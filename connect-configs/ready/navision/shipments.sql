-- A posted shipment.  One that is undone stays, and a second line takes it back: both are corrections, and left out.
SELECT '${company}/' + l.[Document No_] AS shipment_id, '${company}/' + l.[Order No_] AS order_id,
       CAST(l.[Order Line No_] AS varchar(10)) AS line_id, l.[Document No_] AS number,
       NULLIF(h.[Shipping Agent Code], '') AS carrier, NULLIF(h.[Package Tracking No_], '') AS tracking,
       'posted' AS status, ROUND(l.[Quantity (Base)], 5) AS quantity
  FROM [dbo].[${company}$Sales Shipment Line] l
  JOIN [dbo].[${company}$Sales Shipment Header] h ON h.[No_] = l.[Document No_]
 WHERE l.[Type] = 2 AND l.[Correction] = 0 AND l.[Quantity (Base)] > 0 AND l.[Order No_] <> '';
