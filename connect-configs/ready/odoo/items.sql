-- A consumable has no quants: it is always available.  Names are translated (JSON) since Odoo 16, so none is given.
SELECT p.default_code AS sku,
       CASE WHEN u.rounding >= 1 THEN 0 WHEN u.rounding >= 0.1 THEN 1 WHEN u.rounding >= 0.01 THEN 2 ELSE 3 END
       AS unit_digits,
       t.type = 'product' AS tracked,
       COALESCE(p.active, FALSE) AND COALESCE(t.active, FALSE) AS active
  FROM product_product p
  JOIN product_template t ON t.id = p.product_tmpl_id
  JOIN uom_uom u ON u.id = t.uom_id
 WHERE t.type <> 'service' AND p.default_code <> '';
