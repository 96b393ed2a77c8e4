"""What is made in the background, and the news about it."""
