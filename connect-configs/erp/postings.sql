-- What the ERP knows of stock.  Ordered quantities are demand; what it has posted as shipped is `fulfilled` beside
-- them, so that open demand is their difference, whoever posts first.  Two implied decimals throughout.
SELECT TRIM(l.olitem) AS sku,
       TRIM(l.olwhse) AS location,
       'demand' AS bucket,
       (l.olqord - l.olqcan) * 0.01 AS quantity,
       CASE WHEN l.olreqd > 0
            THEN make_date(1900 + l.olreqd / 1000, 1, 1) + (l.olreqd % 1000 - 1) END AS due,
       'SO-' || CAST(l.olordn AS text) || '-' || CAST(l.ollinn AS text) AS reference
  FROM erp.ordlin l
 WHERE l.olstat <> 99
UNION ALL
SELECT TRIM(l.olitem), TRIM(l.olwhse), 'fulfilled', l.olqshp * 0.01,
       CASE WHEN l.olreqd > 0
            THEN make_date(1900 + l.olreqd / 1000, 1, 1) + (l.olreqd % 1000 - 1) END,
       'SO-' || CAST(l.olordn AS text) || '-' || CAST(l.ollinn AS text)
  FROM erp.ordlin l
 WHERE l.olstat <> 99 AND l.olqshp <> 0
UNION ALL
-- Archived lines go on saying the same.
SELECT TRIM(h.olitem), TRIM(h.olwhse), 'demand', (h.olqord - h.olqcan) * 0.01,
       CASE WHEN h.olreqd > 0
            THEN make_date(1900 + h.olreqd / 1000, 1, 1) + (h.olreqd % 1000 - 1) END,
       'SO-' || CAST(h.olordn AS text) || '-' || CAST(h.ollinn AS text)
  FROM erp.ordlnh h
 WHERE h.olstat <> 99
UNION ALL
SELECT TRIM(h.olitem), TRIM(h.olwhse), 'fulfilled', h.olqshp * 0.01,
       CASE WHEN h.olreqd > 0
            THEN make_date(1900 + h.olreqd / 1000, 1, 1) + (h.olreqd % 1000 - 1) END,
       'SO-' || CAST(h.olordn AS text) || '-' || CAST(h.ollinn AS text)
  FROM erp.ordlnh h
 WHERE h.olstat <> 99 AND h.olqshp <> 0
UNION ALL
SELECT TRIM(p.plitem), TRIM(p.plwhse), 'inbound', p.plqord * 0.01,
       CASE WHEN p.plduey > 0 THEN make_date(p.plduey, p.plduem, p.pldued) END,
       'PO-' || CAST(p.plpono AS text) || '-' || CAST(p.pllinn AS text)
  FROM erp.purlin p
 WHERE p.plstat = 10
UNION ALL
SELECT TRIM(p.plitem), TRIM(p.plwhse), 'received', p.plqrec * 0.01,
       CASE WHEN p.plduey > 0 THEN make_date(p.plduey, p.plduem, p.pldued) END,
       'PO-' || CAST(p.plpono AS text) || '-' || CAST(p.pllinn AS text)
  FROM erp.purlin p
 WHERE p.plstat = 10 AND p.plqrec <> 0
UNION ALL
SELECT TRIM(b.ibitem), TRIM(b.ibwhse), 'safety_stock', b.ibsfty * 0.01, CAST(NULL AS date), CAST(NULL AS text)
  FROM erp.itmbal b
 WHERE b.ibsfty <> 0
UNION ALL
-- The ERP's own balance: not the owner's, compared and reported as drift.
SELECT TRIM(b.ibitem), TRIM(b.ibwhse), 'on_hand', b.ibqoh * 0.01, CAST(NULL AS date), CAST(NULL AS text)
  FROM erp.itmbal b;
