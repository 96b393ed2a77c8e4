"""Incoming bytes in RAM: growing memfd buffers and the budget they are reserved from."""
