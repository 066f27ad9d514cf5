-- Odoo 16: the columns that the mapping reads and those around them, as its ORM makes them (Float with digits: numeric).
CREATE TABLE uom_uom (
  id serial PRIMARY KEY, category_id integer NOT NULL, uom_type varchar NOT NULL, name jsonb NOT NULL,
  factor numeric NOT NULL, rounding numeric NOT NULL, active boolean, write_date timestamp);
CREATE TABLE product_template (
  id serial PRIMARY KEY, name jsonb NOT NULL, type varchar, detailed_type varchar NOT NULL, uom_id integer NOT NULL,
  active boolean, write_date timestamp);
CREATE TABLE product_product (
  id serial PRIMARY KEY, product_tmpl_id integer NOT NULL, default_code varchar, active boolean, write_date timestamp);
CREATE INDEX product_product_product_tmpl_id_index ON product_product (product_tmpl_id);
CREATE TABLE stock_warehouse (
  id serial PRIMARY KEY, name varchar NOT NULL, code varchar(5) NOT NULL, company_id integer NOT NULL, active boolean,
  view_location_id integer NOT NULL, lot_stock_id integer, UNIQUE (code, company_id), UNIQUE (name, company_id));
CREATE TABLE stock_location (
  id serial PRIMARY KEY, name varchar NOT NULL, complete_name varchar, usage varchar NOT NULL, location_id integer,
  parent_path varchar, warehouse_id integer, company_id integer, scrap_location boolean, active boolean);
CREATE TABLE stock_quant (
  id serial PRIMARY KEY, product_id integer NOT NULL, location_id integer NOT NULL, lot_id integer, package_id integer,
  owner_id integer, company_id integer, quantity numeric, reserved_quantity numeric NOT NULL, in_date timestamp NOT NULL);
CREATE TABLE sale_order (
  id serial PRIMARY KEY, name varchar NOT NULL, state varchar, partner_id integer NOT NULL, date_order timestamp NOT NULL,
  commitment_date timestamp, invoice_status varchar, delivery_status varchar, warehouse_id integer, client_order_ref varchar,
  write_date timestamp);
CREATE TABLE sale_order_line (
  id serial PRIMARY KEY, order_id integer NOT NULL, product_id integer, product_uom integer,
  product_uom_qty numeric NOT NULL, qty_delivered numeric, display_type varchar, is_downpayment boolean, state varchar,
  write_date timestamp);
CREATE TABLE stock_picking (
  id serial PRIMARY KEY, name varchar, state varchar, date_done timestamp, picking_type_id integer NOT NULL,
  sale_id integer, write_date timestamp);
CREATE TABLE stock_move (
  id serial PRIMARY KEY, name varchar NOT NULL, product_id integer NOT NULL, product_uom integer NOT NULL,
  product_uom_qty numeric NOT NULL, product_qty numeric, location_id integer NOT NULL, location_dest_id integer NOT NULL,
  state varchar, date timestamp NOT NULL, date_deadline timestamp, picking_id integer, sale_line_id integer,
  purchase_line_id integer, scrapped boolean, write_date timestamp);
CREATE TABLE mrp_bom (
  id serial PRIMARY KEY, type varchar NOT NULL, product_tmpl_id integer NOT NULL, product_id integer,
  product_qty numeric NOT NULL, product_uom_id integer NOT NULL, sequence integer, active boolean);
CREATE TABLE mrp_bom_line (
  id serial PRIMARY KEY, bom_id integer NOT NULL, product_id integer NOT NULL, product_qty numeric NOT NULL,
  product_uom_id integer NOT NULL, sequence integer);
