"""What hfproxy does: one package for each feature, all of the same shape inside."""
