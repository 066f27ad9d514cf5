-- Quotes are in the negotiation phase (N); returns bring goods back.
SELECT 'OE-' || TRUNC(h.HEADER_ID) AS order_id, TO_CHAR(TRUNC(h.ORDER_NUMBER)) AS number,
       TO_CHAR(TRUNC(h.SOLD_TO_ORG_ID)) AS customer, CAST(h.ORDERED_DATE AS TIMESTAMP) AS placed_at,
       TRUNC(h.REQUEST_DATE) AS due, h.FLOW_STATUS_CODE AS execution_status,
       CAST(h.LAST_UPDATE_DATE AS TIMESTAMP) AS as_of
  FROM OE_ORDER_HEADERS_ALL h
 WHERE NVL(h.TRANSACTION_PHASE_CODE, 'F') <> 'N' AND h.ORDER_CATEGORY_CODE <> 'RETURN'
