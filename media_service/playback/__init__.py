"""How an asset becomes bytes again."""
