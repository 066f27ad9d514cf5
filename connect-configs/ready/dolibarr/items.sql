SELECT p.ref AS sku, p.label AS name, p.tosell = 1 AS active
  FROM llx_product p
 WHERE p.fk_product_type = 0;
