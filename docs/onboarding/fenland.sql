CREATE SCHEMA trade;

CREATE TABLE trade.part (
  part_no  char(12)    PRIMARY KEY,           -- padded with blanks
  descr    varchar(40) NOT NULL,
  uom      char(3)     NOT NULL,
  stocked  char(1)     NOT NULL,              -- Y, N
  min_qty  integer     NOT NULL,              -- thousandths, as every quantity here
  deleted  char(1)     NOT NULL DEFAULT ' '   -- D: nothing is ever really deleted
);
CREATE TABLE trade.depot (
  depot_no char(4)     PRIMARY KEY,
  descr    varchar(40) NOT NULL
);
CREATE TABLE trade.stock_move (               -- there is no table of balances
  move_no   bigint    PRIMARY KEY,
  part_no   char(12)  NOT NULL REFERENCES trade.part,
  depot_no  char(4)   NOT NULL REFERENCES trade.depot,
  move_type char(1)   NOT NULL,               -- R receipt, I issue, G gain, L loss, Q to quarantine, F freed again
  qty       integer   NOT NULL,               -- never below zero
  moved_at  timestamp NOT NULL
);
CREATE TABLE trade.sales_order (
  order_no   integer   PRIMARY KEY,
  cust_no    char(8)   NOT NULL,
  status     char(1)   NOT NULL,              -- Q quotation, O open, P picking, S shipped, X cancelled
  ordered_at timestamp NOT NULL
);
CREATE TABLE trade.sales_line (
  order_no integer  NOT NULL REFERENCES trade.sales_order,
  line_no  smallint NOT NULL,
  part_no  char(12) NOT NULL REFERENCES trade.part,
  depot_no char(4)  NOT NULL REFERENCES trade.depot,
  qty_ord  integer  NOT NULL,
  qty_shp  integer  NOT NULL,
  wanted   date,
  deleted  char(1)  NOT NULL DEFAULT ' ',
  PRIMARY KEY (order_no, line_no)
);
CREATE TABLE trade.purch_line (
  po_no    integer  NOT NULL,
  line_no  smallint NOT NULL,
  part_no  char(12) NOT NULL REFERENCES trade.part,
  depot_no char(4)  NOT NULL REFERENCES trade.depot,
  qty_ord  integer  NOT NULL,
  qty_rec  integer  NOT NULL,
  due      char(8)  NOT NULL,                 -- YYYYMMDD
  deleted  char(1)  NOT NULL DEFAULT ' ',
  PRIMARY KEY (po_no, line_no)
);

INSERT INTO trade.part VALUES
  ('PIPE-22', 'Copper pipe 22 mm', 'M', 'Y', 20000), ('ELBOW-22', 'Elbow 22 mm', 'PC', 'Y', 50000),
  ('VALVE-22', 'Ball valve 22 mm', 'PC', 'Y', 0), ('CUTTING', 'Cutting to length', 'H', 'N', 0),
  ('ELBOW-18', 'Elbow 18 mm', 'PC', 'Y', 0);
INSERT INTO trade.depot VALUES ('01', 'Ely'), ('02', 'March');
INSERT INTO trade.stock_move VALUES
  (1, 'PIPE-22', '01', 'R', 120500, '2026-11-02 07:10'), (2, 'PIPE-22', '01', 'I', 30000, '2026-11-04 15:02'),
  (3, 'PIPE-22', '01', 'Q', 12500, '2026-11-09 11:30'), (4, 'ELBOW-22', '01', 'R', 500000, '2026-11-10 08:00'),
  (5, 'ELBOW-22', '01', 'L', 4000, '2026-11-12 17:45'), (6, 'ELBOW-22', '02', 'R', 80000, '2026-11-13 09:20'),
  (7, 'VALVE-22', '02', 'R', 40000, '2026-11-13 09:25'), (8, 'PIPE-22', '01', 'F', 2500, '2026-11-16 10:00'),
  (9, 'ELBOW-22', '01', 'I', 20000, '2026-11-18 14:12');
INSERT INTO trade.sales_order VALUES
  (70011, 'HARRIS', 'O', '2026-11-16 09:12'), (70012, 'BRIGGS', 'P', '2026-11-17 10:40'),
  (70013, 'HARRIS', 'Q', '2026-11-18 16:05'), (70014, 'LOWE', 'H', '2026-11-19 08:30'),
  (70015, 'BRIGGS', 'X', '2026-11-20 12:00');
INSERT INTO trade.sales_line VALUES
  (70011, 1, 'PIPE-22', '01', 36000, 0, CURRENT_DATE + 5), (70011, 2, 'CUTTING', '01', 1000, 0, CURRENT_DATE + 5),
  (70012, 1, 'ELBOW-22', '01', 50000, 20000, CURRENT_DATE + 1), (70012, 2, 'VALVE-22', '02', 6000, 0, NULL),
  (70013, 1, 'VALVE-22', '02', 25000, 0, NULL), (70014, 1, 'PIPE-22', '01', 12000, 0, CURRENT_DATE + 8),
  (70015, 1, 'ELBOW-22', '02', 10000, 0, CURRENT_DATE + 2);
INSERT INTO trade.purch_line VALUES
  (4501, 1, 'PIPE-22', '01', 200000, 60000, to_char(CURRENT_DATE + 14, 'YYYYMMDD')),
  (4501, 2, 'VALVE-22', '02', 30000, 0, to_char(CURRENT_DATE + 14, 'YYYYMMDD')),
  (4502, 1, 'ELBOW-22', '02', 100000, 0, '00000000');
UPDATE trade.part SET deleted = 'D' WHERE part_no = 'ELBOW-18';
UPDATE trade.sales_line SET deleted = 'D' WHERE order_no = 70012 AND line_no = 2;

CREATE ROLE fenland_reader LOGIN PASSWORD 'only-looking';
GRANT USAGE ON SCHEMA trade TO fenland_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA trade TO fenland_reader;
