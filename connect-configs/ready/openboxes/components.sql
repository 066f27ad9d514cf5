SELECT k.product_code AS sku, p.product_code AS component, c.quantity AS quantity
  FROM product_component c
  JOIN product k ON k.id = c.assembly_product_id
  JOIN product p ON p.id = c.component_product_id
 WHERE c.quantity > 0 AND k.id <> p.id AND k.product_code <> '' AND p.product_code <> '';
