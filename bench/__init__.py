"""Measurements, run by `make bench`. Each figure is a ratio from one run that includes the thing compared with."""
