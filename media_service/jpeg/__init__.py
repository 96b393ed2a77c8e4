"""JPEG as data (ITU-T T.81). Pure: nothing here does I/O, decodes or encodes."""
