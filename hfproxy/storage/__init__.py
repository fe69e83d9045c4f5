"""What hfproxy keeps: the database, and later the blobs."""
