"""The EC2 tree: the paths of Nova, and those that AWS has and Nova has not."""
