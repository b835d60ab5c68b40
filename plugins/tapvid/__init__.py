"""TAP-Vid DAVIS: readers of the official pickle and of DINO-Tracker's."""
