-- A place to promise from is a warehouse; zones and bins in it are its own affair.
SELECT w.code AS location, w.name AS name, 'warehouse' AS kind, COALESCE(w.active, FALSE) AS active
  FROM stock_location w
 WHERE w.type = 'warehouse' AND w.code <> '';
