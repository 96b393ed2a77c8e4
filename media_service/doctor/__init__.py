"""Looks at an installation, from inside and through its public address."""
