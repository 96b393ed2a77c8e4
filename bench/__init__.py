"""What `make bench` runs: figures as ratios against a peer in the same run, interleaved, medians."""
