SELECT CONCAT('commande,', d.fk_commande) AS order_id, CONCAT('commandedet,', d.rowid) AS line_id, p.ref AS sku,
       COALESCE(CAST(d.qty AS DECIMAL(20, 4)), 0) AS ordered,
       CASE WHEN c.fk_statut = -1 THEN COALESCE(CAST(d.qty AS DECIMAL(20, 4)), 0) END AS cancelled,
       DATE(c.date_livraison) AS due, c.tms AS as_of
  FROM llx_commandedet d
  JOIN llx_commande c ON c.rowid = d.fk_commande
  JOIN llx_product p ON p.rowid = d.fk_product
 WHERE c.entity = 1 AND c.fk_statut IN (-1, 1, 2, 3) AND p.fk_product_type = 0;
