-- Module product_kit.  Components stand at the template or at one variant.  (In Tryton a variant with components of its own
-- has none of its template's; here it has both: do not mix them.)  A component of which every order takes the same,
-- however many kits it has, is left out.
SELECT k.code AS sku, p.code AS component,
       ROUND(CAST(c.quantity AS numeric) * CAST(u.factor AS numeric) / NULLIF(CAST(d.factor AS numeric), 0), 9)
       AS quantity
  FROM product_product k
  JOIN product_template kt ON kt.id = k.template
  JOIN product_component c ON c.parent_template = k.template
  JOIN product_product p ON p.id = c.product
  JOIN product_template t ON t.id = p.template
  JOIN product_uom u ON u.id = c.unit
  JOIN product_uom d ON d.id = t.default_uom
 WHERE kt.type = 'kit' AND (c.parent_product IS NULL OR c.parent_product = k.id) AND NOT COALESCE(c.fixed, FALSE)
   AND k.code <> '' AND p.code <> '' AND CAST(c.quantity AS numeric) > 0;
