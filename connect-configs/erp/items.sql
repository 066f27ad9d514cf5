SELECT TRIM(i.itnum) AS sku, i.itdesc AS name, TRIM(i.ituom) AS unit, 2 AS unit_digits,
       i.itstky = 'Y' AS tracked,
       CASE WHEN i.itblim > 0 THEN i.itblim * 0.01 END AS backorder_limit,
       i.itstat = 10 AS active
  FROM erp.itmast i;
