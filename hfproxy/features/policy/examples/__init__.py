"""Files of rules to begin with: `hfproxy policy example NAME` prints them."""
