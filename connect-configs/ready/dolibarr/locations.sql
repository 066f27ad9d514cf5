SELECT e.ref AS location, COALESCE(NULLIF(TRIM(e.lieu), ''), e.ref) AS name, 'warehouse' AS kind, e.statut <> 0 AS active
  FROM llx_entrepot e
 WHERE e.entity = 1;
