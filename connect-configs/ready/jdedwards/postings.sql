-- Quantities have implied decimals (four here, as the data dictionary of the installation says), dates are CYYDDD
-- with 0 for none, keys are padded.  F41021 is in the item's primary unit.
SELECT TRIM(i.IMLITM) AS sku, TRIM(b.LIMCU) AS location, 'on_hand' AS bucket, b.LIPQOH / 10000 AS quantity,
       CAST(NULL AS DATE) AS due, CAST(NULL AS VARCHAR2(60)) AS reference
  FROM F41021 b
  JOIN F4101 i ON i.IMITM = b.LIITM
 WHERE b.LIPQOH <> 0
UNION ALL
-- A lot status other than blank holds the stock; it stays on hand.
SELECT TRIM(i.IMLITM), TRIM(b.LIMCU), 'on_hold', b.LIPQOH / 10000, CAST(NULL AS DATE), CAST(NULL AS VARCHAR2(60))
  FROM F41021 b
  JOIN F4101 i ON i.IMITM = b.LIITM
 WHERE b.LIPQOH <> 0 AND TRIM(b.LILOTS) IS NOT NULL
UNION ALL
-- What a line is still to ship, now (SOQS), when it comes (SOBK) and later (SONE), until sales update (620) relieves
-- on hand.  The line is in its own unit: SDPQOR is SDUORG in the primary one, so their quotient is the line's factor.
-- A kit's parent line is none: its components have lines of their own.  Commitments of F41021 are the same demand,
-- and are not posted.
SELECT TRIM(i.IMLITM), TRIM(d.SDMCU), 'demand',
       ROUND((d.SDSOQS + d.SDSOBK + d.SDSONE) * d.SDPQOR / NULLIF(d.SDUORG, 0) / 10000, 4),
       CASE WHEN d.SDPDDJ > 0 THEN TO_DATE(TO_CHAR(1900000 + TRUNC(d.SDPDDJ)), 'YYYYDDD') END,
       TRIM(d.SDKCOO) || '-' || TRIM(d.SDDCTO) || '-' || TRUNC(d.SDDOCO) || '-' || TRUNC(d.SDLNID)
  FROM F4211 d
  JOIN F4101 i ON i.IMITM = d.SDITM
 WHERE d.SDNXTR <= '620' AND d.SDLNTY = 'S' AND d.SDDCTO IN ('SO', 'ST', 'SI') AND d.SDUORG > 0
   AND (i.IMSTKT <> 'K' OR i.IMSTKT IS NULL)
UNION ALL
-- What is open on an approved purchase or transfer order.
SELECT TRIM(i.IMLITM), TRIM(o.PDMCU), 'inbound', ROUND(o.PDUOPN * o.PDPQOR / NULLIF(o.PDUORG, 0) / 10000, 4),
       CASE WHEN o.PDPDDJ > 0 THEN TO_DATE(TO_CHAR(1900000 + TRUNC(o.PDPDDJ)), 'YYYYDDD') END,
       TRIM(o.PDKCOO) || '-' || TRIM(o.PDDCTO) || '-' || TRUNC(o.PDDOCO) || '-' || TRIM(o.PDSFXO)
         || '-' || TRUNC(o.PDLNID)
  FROM F4311 o
  JOIN F4101 i ON i.IMITM = o.PDITM
 WHERE o.PDUOPN > 0 AND o.PDNXTR >= '280' AND o.PDNXTR < '999' AND o.PDLNTY = 'S' AND o.PDDCTO IN ('OP', 'OT')
   AND o.PDUORG > 0
