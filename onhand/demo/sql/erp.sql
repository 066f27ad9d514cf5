-- The demo ERP: a distributor's system of the nineties, moved to PostgreSQL as it was.
-- Padded CHAR keys, CYYDDD dates (1YYDDD: century, year, day of year), split dates in purchasing, quantities with two
-- implied decimals, numbers for statuses, closed order lines archived to a history table.
CREATE SCHEMA erp;

-- Items.  itstat: 10 active, 90 discontinued.  itstky: Y stocked, N not counted.  itblim: backorder limit, two implied
-- decimals, 0 = none.
CREATE TABLE erp.itmast (
    itnum  char(12) PRIMARY KEY,
    itdesc varchar(40) NOT NULL,
    ituom  char(2) NOT NULL,
    itstat smallint NOT NULL,
    itstky char(1) NOT NULL,
    itblim numeric(11, 0) NOT NULL DEFAULT 0,
    itnote text
);

CREATE TABLE erp.whsmst (
    whcode char(4) PRIMARY KEY,
    whname varchar(30) NOT NULL,
    whtz   varchar(40) NOT NULL
);

CREATE TABLE erp.cusmst (
    cucode char(8) PRIMARY KEY,
    cuname varchar(40) NOT NULL,
    cuhold char(1) NOT NULL DEFAULT 'N'
);

-- Balance per warehouse as the ERP believes it: posted late.  Two implied decimals.  ibsfty: safety stock.
CREATE TABLE erp.itmbal (
    ibitem char(12) NOT NULL,
    ibwhse char(4) NOT NULL,
    ibqoh  numeric(15, 0) NOT NULL,
    ibsfty numeric(15, 0) NOT NULL DEFAULT 0,
    PRIMARY KEY (ibitem, ibwhse)
);

-- Orders.  ohstat: 20 entered, 40 released, 60 shipped, 80 invoiced, 99 cancelled.  ohfins: 0 open, 1 invoiced, 2 paid.
-- ohchan: WB web shop, PH telephone.  ohdate, ohreqd: CYYDDD.
CREATE TABLE erp.ordhdr (
    ohordn integer PRIMARY KEY,
    ohcust char(8) NOT NULL,
    ohchan char(2) NOT NULL,
    ohdate integer NOT NULL,
    ohreqd integer NOT NULL DEFAULT 0,
    ohstat smallint NOT NULL,
    ohfins smallint NOT NULL DEFAULT 0
);

-- Order lines.  olqord ordered, olqshp shipped as posted (late), olqcan cancelled: two implied decimals.
-- olstat as ohstat.  olreqd: CYYDDD, 0 = as soon as possible.
CREATE TABLE erp.ordlin (
    olordn integer NOT NULL,
    ollinn smallint NOT NULL,
    olitem char(12) NOT NULL,
    olwhse char(4) NOT NULL,
    olqord numeric(15, 0) NOT NULL,
    olqshp numeric(15, 0) NOT NULL DEFAULT 0,
    olqcan numeric(15, 0) NOT NULL DEFAULT 0,
    olstat smallint NOT NULL,
    olreqd integer NOT NULL DEFAULT 0,
    PRIMARY KEY (olordn, ollinn)
);

CREATE INDEX ordlin_item ON erp.ordlin (olitem);

-- Closed lines are moved here by the nightly job.
CREATE TABLE erp.ordlnh (LIKE erp.ordlin INCLUDING ALL);

CREATE TABLE erp.invhdr (
    ivnum  integer PRIMARY KEY,
    ivordn integer NOT NULL,
    ivamt  numeric(15, 2) NOT NULL,
    ivstat smallint NOT NULL,
    ivdate integer NOT NULL
);

-- Purchase orders.  plstat: 10 open, 50 closed, 99 cancelled.  Due date split in three columns, 0 = unknown.
CREATE TABLE erp.purlin (
    plpono integer NOT NULL,
    pllinn smallint NOT NULL,
    plvend char(8) NOT NULL,
    plitem char(12) NOT NULL,
    plwhse char(4) NOT NULL,
    plqord numeric(15, 0) NOT NULL,
    plqrec numeric(15, 0) NOT NULL DEFAULT 0,
    plstat smallint NOT NULL,
    plduey smallint NOT NULL DEFAULT 0,
    plduem smallint NOT NULL DEFAULT 0,
    pldued smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (plpono, pllinn)
);

CREATE INDEX purlin_item ON erp.purlin (plitem);

-- onhand's own two tables.
CREATE TABLE erp.onhand_heartbeat (id integer PRIMARY KEY, ts timestamptz NOT NULL);
CREATE TABLE erp.onhand_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));

-- What the DBA grants; the password is set beside this file, never in it.
GRANT USAGE ON SCHEMA erp TO cdc;
GRANT SELECT ON ALL TABLES IN SCHEMA erp TO cdc;
GRANT INSERT, UPDATE ON erp.onhand_heartbeat TO cdc;
GRANT INSERT, DELETE ON erp.onhand_signal TO cdc;
CREATE PUBLICATION onhand_erp FOR TABLE
    erp.itmast, erp.whsmst, erp.itmbal, erp.ordhdr, erp.ordlin, erp.ordlnh, erp.purlin,
    erp.onhand_heartbeat, erp.onhand_signal;
