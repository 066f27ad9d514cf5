-- Dolibarr 20: the columns that the mapping reads and those around them, with the types of its install files.
CREATE TABLE llx_product (
  rowid integer AUTO_INCREMENT PRIMARY KEY, ref varchar(128) NOT NULL, entity integer DEFAULT 1 NOT NULL,
  label varchar(255) NOT NULL, tosell tinyint DEFAULT 1, tobuy tinyint DEFAULT 1, fk_product_type integer DEFAULT 0,
  seuil_stock_alerte float DEFAULT NULL, stock real, tms timestamp DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)
  ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_entrepot (
  rowid integer AUTO_INCREMENT PRIMARY KEY, ref varchar(255) NOT NULL, entity integer DEFAULT 1 NOT NULL,
  lieu varchar(64), statut tinyint DEFAULT 1, fk_parent integer DEFAULT 0) ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_product_stock (
  rowid integer AUTO_INCREMENT PRIMARY KEY, fk_product integer NOT NULL, fk_entrepot integer NOT NULL, reel real,
  tms timestamp DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  UNIQUE INDEX uk_product_stock (fk_product, fk_entrepot)) ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_product_association (
  rowid integer AUTO_INCREMENT PRIMARY KEY, fk_product_pere integer NOT NULL DEFAULT 0,
  fk_product_fils integer NOT NULL DEFAULT 0, qty double NULL, incdec integer DEFAULT 1,
  UNIQUE INDEX uk_product_association (fk_product_pere, fk_product_fils)) ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_commande (
  rowid integer AUTO_INCREMENT PRIMARY KEY, ref varchar(30) NOT NULL, entity integer DEFAULT 1 NOT NULL,
  fk_soc integer NOT NULL, tms timestamp DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, date_creation datetime,
  date_commande date, fk_statut smallint DEFAULT 0, facture tinyint DEFAULT 0, date_livraison datetime DEFAULT NULL)
  ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_commandedet (
  rowid integer AUTO_INCREMENT PRIMARY KEY, fk_commande integer NOT NULL, fk_product integer NULL, description text,
  qty real, product_type integer DEFAULT 0, special_code integer DEFAULT 0, rang integer DEFAULT 0)
  ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_expedition (
  rowid integer AUTO_INCREMENT PRIMARY KEY, tms timestamp DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  ref varchar(30) NOT NULL, entity integer DEFAULT 1 NOT NULL, fk_soc integer NOT NULL, date_expedition datetime,
  date_delivery datetime DEFAULT NULL, tracking_number varchar(50), fk_statut smallint DEFAULT 0)
  ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_expeditiondet (
  rowid integer AUTO_INCREMENT PRIMARY KEY, fk_expedition integer NOT NULL, fk_element integer, fk_elementdet integer,
  element_type varchar(50) DEFAULT 'order' NOT NULL, qty real, fk_entrepot integer, rang integer DEFAULT 0)
  ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_commande_fournisseur (
  rowid integer AUTO_INCREMENT PRIMARY KEY, ref varchar(30) NOT NULL, entity integer DEFAULT 1 NOT NULL,
  fk_soc integer NOT NULL, fk_statut smallint DEFAULT 0, date_livraison datetime DEFAULT NULL)
  ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_commande_fournisseurdet (
  rowid integer AUTO_INCREMENT PRIMARY KEY, fk_commande integer NOT NULL, fk_product integer, qty real,
  product_type integer DEFAULT 0) ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
CREATE TABLE llx_receptiondet_batch (
  rowid integer AUTO_INCREMENT PRIMARY KEY, fk_reception integer DEFAULT NULL, fk_element integer, fk_elementdet integer,
  element_type varchar(50) DEFAULT 'supplier_order' NOT NULL, fk_product integer, qty float, fk_entrepot integer,
  batch varchar(128) DEFAULT NULL, status integer) ENGINE=innodb COLLATE=utf8mb4_unicode_ci;
