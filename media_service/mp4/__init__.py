"""ISO base media files (ISO/IEC 14496-12) as data. Pure: bytes in, bytes and numbers out."""
