-- A delivery of an order's line (BaseType 17).  One that was cancelled (Y) is none, and the document that
-- cancels it (C) neither.
SELECT 'ODLN/' + CAST(l.[DocEntry] AS varchar(11)) AS shipment_id,
       'ORDR/' + CAST(l.[BaseEntry] AS varchar(11)) AS order_id,
       CAST(l.[BaseLine] AS varchar(11)) AS line_id, CAST(d.[DocNum] AS varchar(11)) AS number,
       d.[TrackNo] AS tracking,
       'posted' AS status, COALESCE(l.[InvQty], 0) AS quantity
  FROM [dbo].[DLN1] l
  JOIN [dbo].[ODLN] d ON d.[DocEntry] = l.[DocEntry]
  JOIN [dbo].[OITM] i ON i.[ItemCode] = l.[ItemCode]
 WHERE l.[BaseType] = 17 AND d.[CANCELED] = 'N' AND i.[InvntItem] = 'Y';
