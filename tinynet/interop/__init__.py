"""Other libraries' files and tools. Optional libraries are imported when they are used."""
