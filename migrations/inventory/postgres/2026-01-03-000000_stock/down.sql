DROP TABLE bookings;
DROP TABLE reservations;
DROP TABLE ledger;
DROP TABLE levels;
