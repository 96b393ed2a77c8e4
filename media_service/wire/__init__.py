"""HTTP as data: headers in, decisions out. Pure: no I/O, no event loop, no framework."""
