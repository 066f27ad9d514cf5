-- Kits (PRODUIT_SOUSPRODUITS): what moves with its parent.
SELECT k.ref AS sku, p.ref AS component, CAST(a.qty AS DECIMAL(20, 4)) AS quantity
  FROM llx_product_association a
  JOIN llx_product k ON k.rowid = a.fk_product_pere
  JOIN llx_product p ON p.rowid = a.fk_product_fils
 WHERE a.incdec = 1 AND CAST(a.qty AS DECIMAL(20, 4)) > 0 AND k.fk_product_type = 0 AND p.fk_product_type = 0
   AND k.rowid <> p.rowid;
