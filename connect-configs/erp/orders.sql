SELECT 'SO-' || CAST(o.ohordn AS text) AS order_id, CAST(o.ohordn AS text) AS number,
       CASE o.ohchan WHEN 'WB' THEN 'shop' WHEN 'PH' THEN 'telephone' END AS channel,
       TRIM(o.ohcust) AS customer,
       CASE WHEN o.ohreqd > 0
            THEN make_date(1900 + o.ohreqd / 1000, 1, 1) + (o.ohreqd % 1000 - 1) END AS due,
       CAST(o.ohfins AS text) AS financial_status,
       CAST(o.ohstat AS text) AS execution_status
  FROM erp.ordhdr o;
