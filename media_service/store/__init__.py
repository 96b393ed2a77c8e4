"""What is kept: blobs (bytes) and the catalog (rows)."""
