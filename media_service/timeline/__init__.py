"""When things happen in a film, and what is made of it. Pure."""
