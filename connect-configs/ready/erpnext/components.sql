-- A product bundle.  What is made by work order and then sold from stock is none.
SELECT b.new_item_code AS sku, c.item_code AS component, c.qty AS quantity
  FROM `tabProduct Bundle Item` c
  JOIN `tabProduct Bundle` b ON b.name = c.parent
 WHERE b.disabled = 0 AND c.qty > 0;
