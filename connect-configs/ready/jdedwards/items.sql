-- Item types that are stocked; IMSTKT is user defined (41/I): N is not stocked, 0 and K are phantoms and kits.
SELECT TRIM(i.IMLITM) AS sku, TRIM(i.IMDSC1) AS name, TRIM(i.IMUOM1) AS unit,
       CASE WHEN i.IMSTKT IN ('N', '0', 'K') THEN 0 ELSE 1 END AS tracked
  FROM F4101 i
 WHERE TRIM(i.IMLITM) IS NOT NULL
