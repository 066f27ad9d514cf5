-- An item is defined in its master organization and assigned to others: one row of the master's tells it.
SELECT i.SEGMENT1 AS sku, i.DESCRIPTION AS name, i.PRIMARY_UOM_CODE AS unit,
       CASE WHEN i.STOCK_ENABLED_FLAG = 'Y' THEN 1 ELSE 0 END AS tracked
  FROM MTL_SYSTEM_ITEMS_B i
  JOIN MTL_PARAMETERS p ON p.ORGANIZATION_ID = i.ORGANIZATION_ID
 WHERE p.MASTER_ORGANIZATION_ID = i.ORGANIZATION_ID AND i.SEGMENT1 IS NOT NULL
