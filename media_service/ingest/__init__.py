"""How bytes become an asset."""
