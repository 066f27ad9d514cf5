SELECT w.name AS location, w.warehouse_name AS name, 'warehouse' AS kind, w.disabled = 0 AS active
  FROM `tabWarehouse` w
 WHERE w.is_group = 0;
