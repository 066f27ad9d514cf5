DROP TABLE consumed;
DROP TABLE exceptions;
DROP TABLE progress;
DROP TABLE lag;
DROP TABLE publications;
