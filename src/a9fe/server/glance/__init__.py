"""Handlers of Glance's image API below /image. Images are records without data."""
