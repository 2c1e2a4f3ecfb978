DROP TABLE book;
DROP TABLE shelf;
DROP TABLE tag;
DROP TABLE folder;
DROP TABLE badge;
DROP TABLE reservation;
DROP TABLE stock;
