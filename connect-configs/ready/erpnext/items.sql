-- A template of variants is never sold itself.  What is no stock item (a service, a bundle) is not tracked: a bundle is
-- promised by its pieces all the same.
SELECT i.name AS sku, i.item_name AS name, i.stock_uom AS unit,
       CASE WHEN u.must_be_whole_number = 1 THEN 0 END AS unit_digits,
       i.is_stock_item = 1 AS tracked, i.disabled = 0 AS active
  FROM `tabItem` i
  LEFT JOIN `tabUOM` u ON u.name = i.stock_uom
 WHERE i.has_variants = 0;
