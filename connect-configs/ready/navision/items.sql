-- Type: 0 Inventory, 1 Service, 2 Non-Inventory.
SELECT i.[No_] AS sku, i.[Description] AS name, i.[Base Unit of Measure] AS unit,
       CASE WHEN i.[Type] = 0 THEN 1 ELSE 0 END AS tracked,
       CASE WHEN i.[Blocked] = 0 THEN 1 ELSE 0 END AS active
  FROM [dbo].[${company}$Item] i
 WHERE i.[Type] <> 1;
