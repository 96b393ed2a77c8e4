"""Matroska and WebM as data: bytes in, tracks and the places of their frames out; no I/O."""
