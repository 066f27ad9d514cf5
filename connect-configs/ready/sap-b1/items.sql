-- An item that is no inventory item (a service, the parent of a sales BOM) has no stock.
SELECT i.[ItemCode] AS sku, i.[ItemName] AS name, i.[InvntryUom] AS unit,
       CASE WHEN i.[InvntItem] = 'Y' THEN 1 ELSE 0 END AS tracked,
       CASE WHEN i.[frozenFor] = 'Y' THEN 0 ELSE 1 END AS active
  FROM [dbo].[OITM] i;
