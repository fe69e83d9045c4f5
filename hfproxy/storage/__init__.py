"""What hfproxy keeps: blobs on a disk or in a bucket, names that point to them, and the database. Knows no HTTP."""
