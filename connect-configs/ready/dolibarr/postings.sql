-- On hand is the balance of each warehouse; the movements behind it are not read.  `real` is a float: four digits count.
-- A kit moves the stock of its parts and a counter of its own, which is nothing to send: it is promised from its parts.
SELECT p.ref AS sku, e.ref AS location, 'on_hand' AS bucket, COALESCE(CAST(s.reel AS DECIMAL(20, 4)), 0) AS quantity,
       NULL AS due, NULL AS reference
  FROM llx_product_stock s
  JOIN llx_product p ON p.rowid = s.fk_product
  JOIN llx_entrepot e ON e.rowid = s.fk_entrepot
  LEFT JOIN llx_product_association a ON a.fk_product_pere = p.rowid AND a.incdec = 1
 WHERE p.fk_product_type = 0 AND e.entity = 1 AND a.rowid IS NULL
UNION ALL
-- A closed warehouse: the goods are there, and not for sale.
SELECT p.ref, e.ref, 'on_hold', COALESCE(CAST(s.reel AS DECIMAL(20, 4)), 0), NULL, NULL
  FROM llx_product_stock s
  JOIN llx_product p ON p.rowid = s.fk_product
  JOIN llx_entrepot e ON e.rowid = s.fk_entrepot
  LEFT JOIN llx_product_association a ON a.fk_product_pere = p.rowid AND a.incdec = 1
 WHERE p.fk_product_type = 0 AND e.entity = 1 AND e.statut = 0 AND a.rowid IS NULL
UNION ALL
-- An order names no warehouse: its demand is the network's.  Dolibarr keeps no quantity shipped: the lines of shipments
-- say it.
SELECT p.ref, '*', 'demand', COALESCE(CAST(d.qty AS DECIMAL(20, 4)), 0), DATE(c.date_livraison),
       CONCAT('commandedet,', d.rowid)
  FROM llx_commandedet d
  JOIN llx_commande c ON c.rowid = d.fk_commande
  JOIN llx_product p ON p.rowid = d.fk_product
 WHERE c.fk_statut IN (1, 2) AND c.entity = 1 AND p.fk_product_type = 0
UNION ALL
-- Stock falls when a shipment is validated (STOCK_CALCULATE_ON_SHIPMENT).
SELECT p.ref, '*', 'fulfilled', COALESCE(CAST(x.qty AS DECIMAL(20, 4)), 0), DATE(c.date_livraison),
       CONCAT('commandedet,', d.rowid)
  FROM llx_expeditiondet x
  JOIN llx_expedition h ON h.rowid = x.fk_expedition
  JOIN llx_commandedet d ON d.rowid = x.fk_elementdet
  JOIN llx_commande c ON c.rowid = d.fk_commande
  JOIN llx_product p ON p.rowid = d.fk_product
 WHERE h.fk_statut IN (1, 2) AND x.element_type IN ('order', 'commande') AND c.fk_statut IN (1, 2) AND c.entity = 1
   AND p.fk_product_type = 0
UNION ALL
SELECT p.ref, '*', 'inbound', COALESCE(CAST(d.qty AS DECIMAL(20, 4)), 0), DATE(c.date_livraison),
       CONCAT('commande_fournisseurdet,', d.rowid)
  FROM llx_commande_fournisseurdet d
  JOIN llx_commande_fournisseur c ON c.rowid = d.fk_commande
  JOIN llx_product p ON p.rowid = d.fk_product
 WHERE c.fk_statut IN (3, 4) AND c.entity = 1 AND p.fk_product_type = 0
UNION ALL
SELECT p.ref, '*', 'received', COALESCE(CAST(b.qty AS DECIMAL(20, 4)), 0), DATE(c.date_livraison),
       CONCAT('commande_fournisseurdet,', b.fk_elementdet)
  FROM llx_receptiondet_batch b
  JOIN llx_commande_fournisseur c ON c.rowid = b.fk_element
  JOIN llx_product p ON p.rowid = b.fk_product
 WHERE c.fk_statut IN (3, 4) AND c.entity = 1 AND b.element_type IN ('supplier_order', 'order_supplier')
   AND p.fk_product_type = 0;
