//! The mover's promises, held on real databases while writers write through the real door.

mod load;
mod pair;
mod round;
mod verify;
