-- The demo WMS on MariaDB: its own item code form ('a-100237' for the ERP's 'A100237'), bins, lots with a hold
-- status, pick tasks, shipments, receipts, transfers between warehouses, cycle counts, returns.
-- Every statement runs in database wms.

CREATE TABLE item (
    item_id   int PRIMARY KEY,
    item_code varchar(24) NOT NULL UNIQUE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE warehouse (
    wh_id   int PRIMARY KEY,
    wh_code varchar(8) NOT NULL UNIQUE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE bin (
    bin_id   int PRIMARY KEY,
    wh_id    int NOT NULL,
    bin_code varchar(12) NOT NULL,
    bin_type enum('PICK', 'BULK', 'STAGE', 'SCRAP') NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- hold_status: 0 free, 1 quality hold, 2 quarantine
CREATE TABLE lot (
    lot_id      int PRIMARY KEY,
    item_id     int NOT NULL,
    lot_code    varchar(20) NOT NULL,
    hold_status tinyint NOT NULL DEFAULT 0
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

CREATE TABLE bin_stock (
    stock_id int PRIMARY KEY AUTO_INCREMENT,
    bin_id   int NOT NULL,
    item_id  int NOT NULL,
    lot_id   int NOT NULL,
    qty      decimal(12, 3) NOT NULL,
    KEY (item_id), KEY (lot_id),
    UNIQUE KEY (bin_id, item_id, lot_id)
);

-- Orders as released to the warehouse.  status: 10 released, 20 picking, 30 packed, 40 shipped, 90 cancelled.
-- dlv_status: 0 not shipped, 1 in transit, 2 delivered, 3 lost (told by the carrier).
CREATE TABLE outbound (
    out_id     int PRIMARY KEY AUTO_INCREMENT,
    order_no   int NOT NULL UNIQUE,
    status     smallint NOT NULL,
    dlv_status smallint NOT NULL DEFAULT 0
);

-- One task an order line.
CREATE TABLE pick_task (
    task_id     int PRIMARY KEY AUTO_INCREMENT,
    order_no    int NOT NULL,
    line_no     smallint NOT NULL,
    item_id     int NOT NULL,
    wh_id       int NOT NULL,
    qty_req     decimal(12, 3) NOT NULL,
    qty_picked  decimal(12, 3) NOT NULL DEFAULT 0,
    qty_packed  decimal(12, 3) NOT NULL DEFAULT 0,
    qty_shipped decimal(12, 3) NOT NULL DEFAULT 0,
    status      smallint NOT NULL,
    UNIQUE KEY (order_no, line_no)
);

-- status: 1 open, 2 packed, 3 shipped, 4 delivered
CREATE TABLE shipment (
    shp_id       int PRIMARY KEY AUTO_INCREMENT,
    order_no     int NOT NULL,
    carrier      varchar(12) NOT NULL,
    tracking     varchar(30) NOT NULL DEFAULT '',
    status       smallint NOT NULL,
    shipped_at   datetime(6) NULL,
    delivered_at datetime(6) NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- Written in the transaction that takes the goods out of the staging bin.
CREATE TABLE shipment_line (
    shp_id  int NOT NULL,
    line_no smallint NOT NULL,
    item_id int NOT NULL,
    wh_id   int NOT NULL,
    qty     decimal(12, 3) NOT NULL,
    PRIMARY KEY (shp_id, line_no),
    KEY (item_id)
);

-- Written in the transaction that puts the goods into the bin.
CREATE TABLE receipt (
    rcp_id      int PRIMARY KEY AUTO_INCREMENT,
    po_no       int NOT NULL,
    po_line     smallint NOT NULL,
    item_id     int NOT NULL,
    wh_id       int NOT NULL,
    qty         decimal(12, 3) NOT NULL,
    received_at datetime(6) NOT NULL,
    KEY (item_id)
);

-- status: 1 in transit, 2 arrived.  Leaving takes the goods from `from_wh` at once.
CREATE TABLE transfer (
    trf_id  int PRIMARY KEY AUTO_INCREMENT,
    item_id int NOT NULL,
    from_wh int NOT NULL,
    to_wh   int NOT NULL,
    qty     decimal(12, 3) NOT NULL,
    status  tinyint NOT NULL,
    eta     date NOT NULL,
    KEY (item_id)
);

CREATE TABLE cycle_count (
    cc_id    int PRIMARY KEY AUTO_INCREMENT,
    stock_id int NOT NULL,
    expected decimal(12, 3) NOT NULL,
    counted  decimal(12, 3) NOT NULL
);

CREATE TABLE customer_return (
    rma_id   int PRIMARY KEY AUTO_INCREMENT,
    order_no int NOT NULL,
    line_no  smallint NOT NULL,
    item_id  int NOT NULL,
    qty      decimal(12, 3) NOT NULL
);

CREATE TABLE onhand_heartbeat (id int PRIMARY KEY, ts timestamp(6) NOT NULL);
-- The connector beats only when the binlog moves; this moves it once a second also in an idle warehouse.
CREATE EVENT onhand_heartbeat ON SCHEDULE EVERY 1 SECOND DO
    INSERT INTO onhand_heartbeat (id, ts) VALUES (2, NOW(6)) ON DUPLICATE KEY UPDATE ts = VALUES(ts);
CREATE TABLE onhand_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));
