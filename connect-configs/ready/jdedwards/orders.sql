-- Quotes (SQ) and blanket orders (SB) promise nothing yet; credit orders (CO) bring goods back.  A header has no
-- status: its lines have.
SELECT TRIM(h.SHKCOO) || '-' || TRIM(h.SHDCTO) || '-' || TRUNC(h.SHDOCO) AS order_id,
       TO_CHAR(TRUNC(h.SHDOCO)) AS number, TO_CHAR(TRUNC(h.SHAN8)) AS customer,
       CAST(CASE WHEN h.SHTRDJ > 0 THEN TO_DATE(TO_CHAR(1900000 + TRUNC(h.SHTRDJ)), 'YYYYDDD') END AS TIMESTAMP)
       AS placed_at,
       CASE WHEN h.SHDRQJ > 0 THEN TO_DATE(TO_CHAR(1900000 + TRUNC(h.SHDRQJ)), 'YYYYDDD') END AS due
  FROM F4201 h
 WHERE h.SHDCTO IN ('SO', 'ST', 'SI')
