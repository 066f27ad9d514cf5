-- A business unit of type BP is a branch/plant; others are departments, work centers, jobs.
SELECT TRIM(m.MCMCU) AS location, TRIM(m.MCDL01) AS name, 'warehouse' AS kind
  FROM F0006 m
 WHERE m.MCSTYL = 'BP'
