"""What the rest of the package is built with: checks, names, threads, types. Nothing here is public."""
