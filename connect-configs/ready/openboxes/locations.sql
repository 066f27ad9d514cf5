-- Depots.  Bins and zones are locations too, inside of them; wards, suppliers and customers hold no stock to promise from.
SELECT l.name AS location, COALESCE(NULLIF(l.description, ''), l.name) AS name, 'warehouse' AS kind, l.active = 1 AS active
  FROM location l
  JOIN location_type t ON t.id = l.location_type_id
 WHERE t.location_type_code = 'DEPOT';
