"""The pages: HTML, CSS and ES modules."""
