SELECT 'SO-' || CAST(l.olordn AS text) AS order_id,
       'SO-' || CAST(l.olordn AS text) || '-' || CAST(l.ollinn AS text) AS line_id,
       TRIM(l.olitem) AS sku, TRIM(l.olwhse) AS location,
       l.olqord * 0.01 AS ordered, l.olqshp * 0.01 AS shipped, l.olqcan * 0.01 AS cancelled,
       CASE WHEN l.olreqd > 0
            THEN make_date(1900 + l.olreqd / 1000, 1, 1) + (l.olreqd % 1000 - 1) END AS due
  FROM erp.ordlin l
UNION ALL
SELECT 'SO-' || CAST(h.olordn AS text),
       'SO-' || CAST(h.olordn AS text) || '-' || CAST(h.ollinn AS text),
       TRIM(h.olitem), TRIM(h.olwhse),
       h.olqord * 0.01, h.olqshp * 0.01, h.olqcan * 0.01,
       CASE WHEN h.olreqd > 0
            THEN make_date(1900 + h.olreqd / 1000, 1, 1) + (h.olreqd % 1000 - 1) END
  FROM erp.ordlnh h;
