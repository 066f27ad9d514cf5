-- A draft (status 0, a provisional number) is no order yet.
SELECT CONCAT('commande,', c.rowid) AS order_id, c.ref AS number, CONCAT('societe,', c.fk_soc) AS customer,
       c.date_creation AS placed_at, DATE(c.date_livraison) AS due,
       CONCAT('', c.facture) AS financial_status, CONCAT('', c.fk_statut) AS execution_status, c.tms AS as_of
  FROM llx_commande c
 WHERE c.entity = 1 AND c.fk_statut IN (-1, 1, 2, 3);
