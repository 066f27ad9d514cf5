-- ERPNext 15: the columns that the mapping reads and those around them, as Frappe makes them (name varchar(140), Float
-- decimal(21,9), Check int(1), child rows by parent, parentfield, parenttype).
CREATE TABLE `tabUOM` (name varchar(140) PRIMARY KEY, must_be_whole_number int(1) NOT NULL DEFAULT 0)
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabItem` (
  name varchar(140) PRIMARY KEY, item_name varchar(140), stock_uom varchar(140), is_stock_item int(1) NOT NULL DEFAULT 1,
  has_variants int(1) NOT NULL DEFAULT 0, disabled int(1) NOT NULL DEFAULT 0, modified datetime(6))
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabWarehouse` (
  name varchar(140) PRIMARY KEY, warehouse_name varchar(140), company varchar(140), is_group int(1) NOT NULL DEFAULT 0,
  is_rejected_warehouse int(1) NOT NULL DEFAULT 0, disabled int(1) NOT NULL DEFAULT 0)
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabBin` (
  name varchar(140) PRIMARY KEY, item_code varchar(140), warehouse varchar(140),
  actual_qty decimal(21,9) NOT NULL DEFAULT 0, planned_qty decimal(21,9) NOT NULL DEFAULT 0,
  indented_qty decimal(21,9) NOT NULL DEFAULT 0, ordered_qty decimal(21,9) NOT NULL DEFAULT 0,
  reserved_qty decimal(21,9) NOT NULL DEFAULT 0, reserved_qty_for_production decimal(21,9) NOT NULL DEFAULT 0,
  reserved_qty_for_sub_contract decimal(21,9) NOT NULL DEFAULT 0, projected_qty decimal(21,9) NOT NULL DEFAULT 0,
  UNIQUE KEY unique_item_warehouse (item_code, warehouse))
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabSales Order` (
  name varchar(140) PRIMARY KEY, creation datetime(6), modified datetime(6), docstatus int(1) NOT NULL DEFAULT 0,
  status varchar(140), customer varchar(140), transaction_date date, delivery_date date, billing_status varchar(140),
  delivery_status varchar(140))
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabSales Order Item` (
  name varchar(140) PRIMARY KEY, modified datetime(6), docstatus int(1) NOT NULL DEFAULT 0, idx int(8) NOT NULL DEFAULT 0,
  parent varchar(140), parentfield varchar(140), parenttype varchar(140), item_code varchar(140), warehouse varchar(140),
  uom varchar(140), conversion_factor decimal(21,9) NOT NULL DEFAULT 0, qty decimal(21,9) NOT NULL DEFAULT 0,
  stock_qty decimal(21,9) NOT NULL DEFAULT 0, delivered_qty decimal(21,9) NOT NULL DEFAULT 0,
  returned_qty decimal(21,9) NOT NULL DEFAULT 0, picked_qty decimal(21,9) NOT NULL DEFAULT 0,
  delivered_by_supplier int(1) NOT NULL DEFAULT 0, delivery_date date)
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabPacked Item` (
  name varchar(140) PRIMARY KEY, parent varchar(140), parentfield varchar(140), parenttype varchar(140),
  parent_item varchar(140), parent_detail_docname varchar(140), item_code varchar(140), warehouse varchar(140),
  qty decimal(21,9) NOT NULL DEFAULT 0)
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabPurchase Order` (
  name varchar(140) PRIMARY KEY, docstatus int(1) NOT NULL DEFAULT 0, status varchar(140), supplier varchar(140))
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabPurchase Order Item` (
  name varchar(140) PRIMARY KEY, docstatus int(1) NOT NULL DEFAULT 0, parent varchar(140), parentfield varchar(140),
  parenttype varchar(140), item_code varchar(140), warehouse varchar(140),
  conversion_factor decimal(21,9) NOT NULL DEFAULT 0, qty decimal(21,9) NOT NULL DEFAULT 0,
  received_qty decimal(21,9) NOT NULL DEFAULT 0, delivered_by_supplier int(1) NOT NULL DEFAULT 0, schedule_date date)
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabDelivery Note` (
  name varchar(140) PRIMARY KEY, docstatus int(1) NOT NULL DEFAULT 0, is_return int(1) NOT NULL DEFAULT 0,
  transporter_name varchar(140), lr_no varchar(140), posting_date date, modified datetime(6))
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabDelivery Note Item` (
  name varchar(140) PRIMARY KEY, modified datetime(6), parent varchar(140), parentfield varchar(140),
  parenttype varchar(140), item_code varchar(140), qty decimal(21,9) NOT NULL DEFAULT 0,
  against_sales_order varchar(140), so_detail varchar(140))
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabProduct Bundle` (name varchar(140) PRIMARY KEY, new_item_code varchar(140), disabled int(1) NOT NULL DEFAULT 0)
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `tabProduct Bundle Item` (
  name varchar(140) PRIMARY KEY, parent varchar(140), item_code varchar(140), qty decimal(21,9) NOT NULL DEFAULT 0)
  ENGINE=InnoDB COLLATE=utf8mb4_unicode_ci;
