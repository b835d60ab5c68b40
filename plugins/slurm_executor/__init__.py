"""Executor `slurm`."""
