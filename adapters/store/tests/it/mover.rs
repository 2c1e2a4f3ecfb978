//! The mover's promises, held on real databases while writers write through the real door.

mod faults;
mod follow;
mod load;
mod pair;
mod refusals;
mod round;
mod seed;
mod switch;
mod verify;
