DROP TABLE availability;
DROP TABLE prices;
DROP TABLE variants;
DROP TABLE products;
