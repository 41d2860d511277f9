"""Handlers of Glance's image API below /image: records of images, without their data."""
