SELECT CONCAT('SO-', o.order_no) AS order_id,
       CONCAT('', o.status) AS execution_status,
       CONCAT('', o.dlv_status) AS delivery_status
  FROM outbound o;
