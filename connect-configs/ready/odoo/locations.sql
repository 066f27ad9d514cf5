SELECT w.code AS location, w.name AS name, 'warehouse' AS kind, COALESCE(w.active, FALSE) AS active
  FROM stock_warehouse w;
