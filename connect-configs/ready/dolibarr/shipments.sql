-- A line of a shipment is a shipment of its own: one order line may leave in several (by warehouse, by lot).
SELECT CONCAT('expeditiondet,', x.rowid) AS shipment_id, CONCAT('commande,', d.fk_commande) AS order_id,
       CONCAT('commandedet,', d.rowid) AS line_id, h.ref AS number, NULLIF(TRIM(h.tracking_number), '') AS tracking,
       CONCAT('', h.fk_statut) AS status, COALESCE(CAST(x.qty AS DECIMAL(20, 4)), 0) AS quantity,
       CASE WHEN h.fk_statut = 2 THEN h.date_expedition END AS shipped_at, h.tms AS as_of
  FROM llx_expeditiondet x
  JOIN llx_expedition h ON h.rowid = x.fk_expedition
  JOIN llx_commandedet d ON d.rowid = x.fk_elementdet
 WHERE x.element_type IN ('order', 'commande') AND h.entity = 1;
