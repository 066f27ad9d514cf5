-- Module mrp.  A kit (a BoM of type phantom) that names no variant is a kit of each variant of its template.  Odoo takes a
-- product's first BoM by sequence: keep one kit BoM active for each.  A line is in a unit of its own, the BoM makes
-- `product_qty` of another; a factor says how many of the unit make one of the category's reference.
SELECT k.default_code AS sku, p.default_code AS component,
       ROUND(c.product_qty / NULLIF(cu.factor, 0) * pu.factor
             / NULLIF(b.product_qty / NULLIF(bu.factor, 0) * ku.factor, 0), 9) AS quantity
  FROM mrp_bom_line c
  JOIN mrp_bom b ON b.id = c.bom_id
  JOIN product_template kt ON kt.id = b.product_tmpl_id
  JOIN product_product k ON k.product_tmpl_id = b.product_tmpl_id AND (b.product_id IS NULL OR k.id = b.product_id)
  JOIN product_product p ON p.id = c.product_id
  JOIN product_template pt ON pt.id = p.product_tmpl_id
  JOIN uom_uom cu ON cu.id = c.product_uom_id
  JOIN uom_uom pu ON pu.id = pt.uom_id
  JOIN uom_uom bu ON bu.id = b.product_uom_id
  JOIN uom_uom ku ON ku.id = kt.uom_id
 WHERE b.type = 'phantom' AND b.active AND c.product_qty > 0 AND k.default_code <> '' AND p.default_code <> ''
   AND k.default_code <> p.default_code;
