"""HTTP as clients see it: typed endpoints, errors as answers, who calls. Knows nothing of the Hub or of disks."""
