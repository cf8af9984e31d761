"""Other libraries' files and tools. Each needs a library of its own, which is imported when it is used."""
