-- A sales BOM; a resource or a text in it (Type 290, -18) is no component.  Its quantities make `Qauntity` of the
-- parent: one that makes other than 1 has no quotient here, and becomes an exception.
SELECT c.[Father] AS sku, c.[Code] AS component, CASE WHEN t.[Qauntity] = 1 THEN c.[Quantity] END AS quantity
  FROM [dbo].[ITT1] c
  JOIN [dbo].[OITT] t ON t.[Code] = c.[Father]
  JOIN [dbo].[OITM] i ON i.[ItemCode] = c.[Code]
 WHERE t.[TreeType] = 'S' AND c.[Type] = 4 AND c.[Quantity] > 0 AND i.[InvntItem] = 'Y';
