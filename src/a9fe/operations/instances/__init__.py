"""Instances, what their guests write, and the flavors, images and key pairs that they name."""
