"""Networks to and from disk."""
