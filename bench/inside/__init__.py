"""What runs inside the service under measurement: found by PYTHONPATH, so that it runs in other checkouts too."""
