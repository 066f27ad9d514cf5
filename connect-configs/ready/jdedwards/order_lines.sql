-- In the item's primary unit, by the line's own factor SDPQOR / SDUORG.  Until ship confirm (560) SDSOQS is what is
-- to be shipped, afterwards what was.
SELECT TRIM(d.SDKCOO) || '-' || TRIM(d.SDDCTO) || '-' || TRUNC(d.SDDOCO) AS order_id,
       TRIM(d.SDKCOO) || '-' || TRIM(d.SDDCTO) || '-' || TRUNC(d.SDDOCO) || '-' || TRUNC(d.SDLNID) AS line_id,
       TRIM(i.IMLITM) AS sku, TRIM(d.SDMCU) AS location, d.SDPQOR / 10000 AS ordered,
       CASE WHEN d.SDNXTR > '560' THEN ROUND(d.SDSOQS * d.SDPQOR / NULLIF(d.SDUORG, 0) / 10000, 4) ELSE 0 END
       AS shipped,
       ROUND(d.SDSOCN * d.SDPQOR / NULLIF(d.SDUORG, 0) / 10000, 4) AS cancelled,
       CASE WHEN d.SDPDDJ > 0 THEN TO_DATE(TO_CHAR(1900000 + TRUNC(d.SDPDDJ)), 'YYYYDDD') END AS due
  FROM F4211 d
  JOIN F4101 i ON i.IMITM = d.SDITM
 WHERE d.SDLNTY = 'S' AND d.SDDCTO IN ('SO', 'ST', 'SI')
