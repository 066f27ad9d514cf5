-- A drop-ship warehouse is virtual.
SELECT w.[WhsCode] AS location, w.[WhsName] AS name, 'warehouse' AS kind
  FROM [dbo].[OWHS] w
 WHERE w.[DropShip] <> 'Y';
