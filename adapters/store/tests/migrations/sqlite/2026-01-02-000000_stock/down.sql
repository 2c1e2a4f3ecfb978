DROP TABLE reservation;
DROP TABLE stock;
