"""What is going on in a network, and in this installation."""
