DROP TABLE simulator;
DROP TABLE transfers;
DROP TABLE operations;
DROP TABLE payments;
