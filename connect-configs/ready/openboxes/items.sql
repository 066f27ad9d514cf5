SELECT p.product_code AS sku, p.name AS name, NULLIF(p.unit_of_measure, '') AS unit, 0 AS unit_digits,
       p.active = 1 AS active
  FROM product p
 WHERE p.product_code <> '';
