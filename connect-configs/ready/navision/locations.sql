-- A place that goods only pass (Use As In-Transit) holds nothing to promise from.
SELECT l.[Code] AS location, l.[Name] AS name, 'warehouse' AS kind
  FROM [dbo].[${company}$Location] l
 WHERE l.[Use As In-Transit] = 0;
