"""The EC2 tree: Nova's paths, and AWS's paths that Nova does not have."""
