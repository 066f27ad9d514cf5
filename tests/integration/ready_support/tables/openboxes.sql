-- OpenBoxes 0.9.8: the columns that the mapping reads and those around them, with the types of its changelogs.
CREATE TABLE location_type (
  id char(38) PRIMARY KEY, name varchar(255) NOT NULL, location_type_code varchar(100)) COLLATE=utf8mb3_general_ci;
CREATE TABLE location (
  id char(38) PRIMARY KEY, name varchar(255) NOT NULL, active bit(1), location_type_id char(38),
  parent_location_id char(38), location_number varchar(255), description varchar(255)) COLLATE=utf8mb3_general_ci;
CREATE TABLE product (
  id char(38) PRIMARY KEY, name varchar(255) NOT NULL, product_code varchar(255) UNIQUE, unit_of_measure varchar(255),
  active bit(1)) COLLATE=utf8mb3_general_ci;
CREATE TABLE product_availability (
  id char(38) PRIMARY KEY, location_id char(38) NOT NULL, product_id char(38) NOT NULL, inventory_item_id char(38) NOT NULL,
  bin_location_id char(38), product_code varchar(100) NOT NULL, lot_number varchar(100) NOT NULL DEFAULT 'DEFAULT',
  bin_location_name varchar(100) NOT NULL DEFAULT 'DEFAULT', quantity_allocated int, quantity_on_hand int NOT NULL,
  quantity_on_hold bigint, quantity_available_to_promise bigint,
  UNIQUE KEY product_availability_uniq_idx (location_id, product_code, lot_number, bin_location_name))
  COLLATE=utf8mb3_general_ci;
CREATE TABLE requisition (
  id char(38) PRIMARY KEY, request_number varchar(255), status varchar(255), type varchar(255), origin_id char(38),
  destination_id char(38), date_requested datetime NOT NULL, requested_delivery_date datetime NOT NULL,
  is_template tinyint(3), last_updated datetime) COLLATE=utf8mb3_general_ci;
CREATE TABLE requisition_item (
  id char(38) PRIMARY KEY, requisition_id char(38), product_id char(38) NOT NULL, parent_requisition_item_id char(38),
  requisition_item_type varchar(255), quantity int NOT NULL, quantity_canceled int, quantity_approved int,
  last_updated datetime NOT NULL) COLLATE=utf8mb3_general_ci;
CREATE TABLE `order` (
  id char(38) PRIMARY KEY, order_number varchar(255), status varchar(255), order_type_id char(38), origin_id char(38),
  destination_id char(38)) COLLATE=utf8mb3_general_ci;
CREATE TABLE order_item (
  id char(38) PRIMARY KEY, order_id char(38), product_id char(38), quantity int NOT NULL, quantity_per_uom decimal(19,2),
  order_item_status_code varchar(100) DEFAULT 'PENDING', estimated_ship_date datetime) COLLATE=utf8mb3_general_ci;
CREATE TABLE shipment (
  id char(38) PRIMARY KEY, name varchar(255) NOT NULL, shipment_number varchar(255), current_status varchar(255),
  origin_id char(38), destination_id char(38), requisition_id char(38), expected_shipping_date datetime,
  expected_delivery_date datetime, last_updated datetime) COLLATE=utf8mb3_general_ci;
CREATE TABLE shipment_item (
  id char(38) PRIMARY KEY, shipment_id char(38), product_id char(38), quantity int NOT NULL, requisition_item_id char(38),
  inventory_item_id char(38), bin_location_id char(38)) COLLATE=utf8mb3_general_ci;
CREATE TABLE receipt (id char(38) PRIMARY KEY, shipment_id char(38), receipt_status_code varchar(255))
  COLLATE=utf8mb3_general_ci;
CREATE TABLE receipt_item (
  id char(38) PRIMARY KEY, receipt_id char(38), shipment_item_id char(38), product_id char(38), quantity_received int,
  quantity_canceled int) COLLATE=utf8mb3_general_ci;
CREATE TABLE product_component (
  id char(38) PRIMARY KEY, assembly_product_id char(38) NOT NULL, component_product_id char(38) NOT NULL,
  quantity decimal(19,2) NOT NULL) COLLATE=utf8mb3_general_ci;
