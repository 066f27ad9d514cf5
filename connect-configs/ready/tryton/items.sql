-- Services have no stock.  A consumable is assigned whatever is in stock: it is always available.
SELECT p.code AS sku, t.name AS name, u.symbol AS unit, u.digits AS unit_digits,
       NOT COALESCE(t.consumable, FALSE) AS tracked,
       COALESCE(p.active, FALSE) AND COALESCE(t.active, FALSE) AS active
  FROM product_product p
  JOIN product_template t ON t.id = p.template
  JOIN product_uom u ON u.id = t.default_uom
 WHERE t.type <> 'service' AND p.code <> '';
