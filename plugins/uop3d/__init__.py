"""UOP3D: a rigid category model with one feature per vertex, on any features."""
