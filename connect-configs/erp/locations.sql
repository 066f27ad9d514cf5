SELECT TRIM(w.whcode) AS location, w.whname AS name, 'warehouse' AS kind, w.whtz AS time_zone, TRUE AS active
  FROM erp.whsmst w;
